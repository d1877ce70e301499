"""A tape as formulas: nested expressions for the explorer, text for the terminal, LaTeX for documents.

Every formula stops at named signals, so the cell state of an LSTM is printed as f · c₋₁ + i · g.
"""

from typing import Any

from gatescope.equations.operations import ATOM, JUMPS, NEGATED, OPERATIONS, SUM
from gatescope.equations.tape import Tape

Nested = dict[str, Any]
ROWS = OPERATIONS | JUMPS


def expression(tape: Tape, signal: str) -> Nested:
    """Return the equation of one signal as nested JSON, in the schema that the explorer reads.

    `{"operation": name, "arguments": [...]}` or one of `{"signal": "f"}`, `{"state": "c"}` (one step earlier),
    `{"drive": "x.i"}`, `{"parameter": "p.i"}`, `{"constant": 1.0}`.
    """
    return _nested(tape, tape.signals[signal], signal)


def _nested(tape: Tape, index: int, inside: str) -> Nested:
    # If two signals share a node, the equation of the second is the name of the first.
    name = tape.stops.get(index)
    if name is not None and name != inside:
        return {"signal": name}
    node = tape.nodes[index]
    if node.kind == "parameter":
        return {"parameter": f"p.{node.label}"}
    if node.kind in ("drive", "state", "constant"):
        return {node.kind: node.label}
    return {"operation": node.kind, "arguments": [_nested(tape, k, "") for k in node.arguments]}


def text(nested: Nested) -> str:
    """Return a formula on one line, as in `f · c₋₁ + i · g`."""
    return _format(nested, latex=False)[0]


def latex(nested: Nested) -> str:
    r"""Return a formula as LaTeX, as in `f_t \odot c_{t-1} + i_t \odot g_t`."""
    return _format(nested, latex=True)[0]


def _leaf(nested: Nested, latex: bool) -> str:
    (kind, label), *_ = nested.items()
    if kind == "constant":
        return next(short for short in (f"{label:g}", repr(label)) if float(short) == label)
    if not latex:
        return f"{label}₋₁" if kind == "state" else str(label)
    if kind == "signal":
        return f"{label}_t"
    if kind == "state":
        return f"{label}_{{t-1}}"
    prefix, name = str(label).split(".", 1)
    if kind == "parameter":
        return f"p_{{{name}}}"
    return rf"W_{{{name}}} x_t + b_{{{name}}}" if prefix == "x" else rf"U_{{{name}}} h_{{t-1}}"


def _format(nested: Nested, latex: bool) -> tuple[str, int]:
    """Return the printed form and how tightly it binds."""
    if "operation" not in nested:
        if latex and str(nested.get("drive")).startswith("x."):
            return _leaf(nested, latex), SUM
        return _leaf(nested, latex), NEGATED if nested.get("constant", 0.0) < 0 else ATOM
    row = ROWS[nested["operation"]]
    printed = []
    for position, argument in enumerate(nested["arguments"]):
        inner, binding = _format(argument, latex)
        parenthesize = row.needs and binding < row.needs[position]
        printed.append(f"({inner})" if parenthesize else inner)
    return (row.latex if latex else row.text).format(*printed), row.binding
