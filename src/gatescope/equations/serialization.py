"""A tape as JSON and back: a run carries its equations, so no foreign code is needed to read it."""

import hashlib
import json
from typing import Any

from gatescope.equations.expression import LEAVES, EquationError
from gatescope.equations.operations import OPERATIONS
from gatescope.equations.tape import Node, Tape, checked

MAXIMUM_NODES = 1000
LARGEST_CONSTANT = 1e300


def to_json(tape: Tape) -> dict[str, Any]:
    """`{"nodes": [["drive", "x.i"], ["add", 0, 1], ...], "signals": {"i": 3, ...}}`."""
    nodes = [[n.kind, *n.arguments] if n.kind in OPERATIONS else [n.kind, n.label] for n in tape.nodes]
    return {"nodes": nodes, "signals": dict(tape.signals)}


def key(tape: Tape) -> str:
    """16 hexadecimal digits that are the same for equal equations only: the start of the SHA-256 of their JSON."""
    canonical = json.dumps(to_json(tape), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def from_json(data: Any, name: str) -> Tape:
    """The tape that `to_json` wrote, every line checked before it is believed.

    Raises:
        EquationError: the data are not a tape; the message names the line.
    """
    if not isinstance(data, dict) or not isinstance(data.get("nodes"), list):
        raise EquationError("SERIALIZATION_EQUATIONS_LIST_NODES_NAMED", name=name)
    if len(data["nodes"]) > MAXIMUM_NODES:
        raise EquationError(
            "SERIALIZATION_EQUATIONS_LINES_MOST_READ", name=name, count=len(data["nodes"]), maximum_nodes=MAXIMUM_NODES
        )
    nodes = tuple(_node(line, number, name) for number, line in enumerate(data["nodes"]))
    signals = data.get("signals")
    if not isinstance(signals, dict) or not all(_is_index(k, len(nodes)) for k in signals.values()):
        raise EquationError("SERIALIZATION_SIGNALS_POINT_LINES_EQUATIONS", name=name)
    return checked(Tape(nodes, signals), name)


def _is_index(value: Any, length: int) -> bool:
    return type(value) is int and 0 <= value < length


def _node(line: Any, number: int, name: str) -> Node:
    match line:
        case [str(kind), *arguments] if kind in OPERATIONS:
            arity = OPERATIONS[kind].text.count("{}")
            if len(arguments) == arity and all(_is_index(k, number) for k in arguments):
                return Node(kind, tuple(arguments))
        case ["constant", int(value) | float(value)] if type(value) is not bool and abs(value) <= LARGEST_CONSTANT:
            return Node("constant", (), float(value))
        case [str(kind), str(label)] if kind in LEAVES and kind != "constant":
            return Node(kind, (), label)
    raise EquationError(
        "SERIALIZATION_LINE_EQUATIONS_OPERATION_QUANTITY", number=number, name=name, line=str(line)[:80]
    )
