"""A tape as JSON and back: a run stores its equations, so reading it needs no foreign code."""

import hashlib
import json
from typing import Any

from gatescope.equations.operations import OPERATIONS
from gatescope.equations.symbolic import LEAVES, EquationError
from gatescope.equations.tape import Node, Tape, check_tape

MAX_NODES = 1000
MAX_CONSTANT = 1e300


def to_json(tape: Tape) -> dict[str, Any]:
    """Return `{"nodes": [["drive", "x.i"], ["add", 0, 1], ...], "signals": {"i": 3, ...}}`."""
    nodes = [[n.kind, *n.arguments] if n.kind in OPERATIONS else [n.kind, n.label] for n in tape.nodes]
    return {"nodes": nodes, "signals": dict(tape.signals)}


def canonical_json(tape: Tape) -> str:
    """Return the one JSON text of a tape, by which the browser recognises the equations of built-in cells."""
    return json.dumps(to_json(tape), sort_keys=True, separators=(",", ":"))


def key(tape: Tape) -> str:
    """Return 16 hexadecimal digits that identify the equations: the start of the SHA-256 of their JSON."""
    return hashlib.sha256(canonical_json(tape).encode()).hexdigest()[:16]


def from_json(data: Any, name: str) -> Tape:
    """Return the tape that `to_json` wrote, after checking every line.

    Args:
        data: parsed JSON.
        name: the cell's name, for messages.

    Raises:
        EquationError: the data are not a tape; the message names the line.
    """
    if not isinstance(data, dict) or not isinstance(data.get("nodes"), list):
        raise EquationError("EQUATIONS_INVALID", name=name)
    if len(data["nodes"]) > MAX_NODES:
        raise EquationError("EQUATIONS_TOO_LONG", name=name, count=len(data["nodes"]), most=MAX_NODES)
    nodes = tuple(_node(line, number, name) for number, line in enumerate(data["nodes"]))
    signals = data.get("signals")
    if not isinstance(signals, dict) or not all(_is_index(k, len(nodes)) for k in signals.values()):
        raise EquationError("EQUATIONS_SIGNALS_INVALID", name=name)
    return check_tape(Tape(nodes, signals), name)


def _is_index(value: Any, length: int) -> bool:
    return type(value) is int and 0 <= value < length


def _node(line: Any, number: int, name: str) -> Node:
    match line:
        case [str(kind), *arguments] if kind in OPERATIONS:
            arity = OPERATIONS[kind].text.count("{}")
            if len(arguments) == arity and all(_is_index(k, number) for k in arguments):
                return Node(kind, tuple(arguments))
        case ["constant", int(value) | float(value)] if type(value) is not bool and abs(value) <= MAX_CONSTANT:
            return Node("constant", (), float(value))
        case [str(kind), str(label)] if kind in LEAVES and kind != "constant":
            return Node(kind, (), label)
    raise EquationError("EQUATIONS_LINE_INVALID", number=number, name=name, line=str(line)[:80])
