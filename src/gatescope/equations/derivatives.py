"""The reverse derivative of a tape: one step's backward, as data.

It is derived from the tape by the chain rule, operation by operation, and reads what a step leaves behind: named
signals are never computed again. It knows of interventions: where a named signal is changed (value <- scale · value +
shift), whatever uses it has the changed value, while the operation that computed it has the value before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gatescope.equations.expression import Expression, leaf, operation, tracing
from gatescope.equations.operations import OPERATIONS
from gatescope.equations.tape import Node, Tape


@dataclass(frozen=True)
class Reverse:
    """The derivatives of a loss L by everything that one step of a tape reads.

    `nodes` are in order of computation. Their kinds are the operations, those of `JUMPS` among them, "back", and leaves
    that are read:

    - "gradient" k: dL/d(signal k), all that arrives from outside the step;
    - "signal" k: the recorded value, which is what uses it has, and "before" k: what its own operation had returned;
    - "state" k (one step earlier), "parameter" k, "constant" and "drive" k, which is a residual.

    "back" of k turns dL/d(signal k) into dL/d(before k): it multiplies by the scale of the signal's intervention. Of
    two names of one node, only the first one is a label here, except of a "gradient".

    Attributes:
        nodes: the lines.
        drives: the node of dL/d(drive), for every drive of the tape.
        states: the same for every state one step earlier that the tape reads.
        parameters: the same for every parameter.
        residuals: the drives that are read: no signal tells their values, so the forward step has to keep them.
    """

    nodes: tuple[Node, ...]
    drives: Mapping[str, int]
    states: Mapping[str, int]
    parameters: Mapping[str, int]
    residuals: tuple[str, ...]


def reverse(tape: Tape) -> Reverse:
    """The reverse derivative of one step; of a tape with joined drives it reads and computes fewer of them.

    Derivatives that meet are added in a fixed order: what arrives from outside first, then the uses from the last to
    the first.
    """
    with tracing() as pool:
        known = readable(tape)
        adjoints: list[Expression | None] = [None] * len(tape.nodes)
        for name, index in tape.signals.items():
            adjoints[index] = _total(adjoints[index], leaf("gradient", name))
        for index in reversed(range(len(tape.nodes))):
            node, adjoint, result = tape.nodes[index], adjoints[index], known[index]
            if adjoint is None:
                continue
            if index in tape.stops:
                adjoint = adjoints[index] = pool.get("back", (adjoint,), tape.stops[index])
                result = leaf("before", tape.stops[index])
            if node.kind in OPERATIONS:
                arguments = [known[k] for k in node.arguments]
                for argument, partial in zip(node.arguments, OPERATIONS[node.kind].partials, strict=True):
                    adjoints[argument] = _total(adjoints[argument], _product(adjoint, partial(result, *arguments)))
        found: dict[str, dict[str, Expression]] = {"drive": {}, "state": {}, "parameter": {}}
        for node, adjoint in zip(tape.nodes, adjoints, strict=True):
            if node.kind in found:
                found[node.kind][str(node.label)] = leaf("constant", 0.0) if adjoint is None else adjoint
        return _linear(list(pool.nodes.values()), found)


def readable(tape: Tape) -> list[Expression]:
    """Every line of the tape as what uses it can read: a signal, or computed again of signals, leaves and residuals."""
    values: list[Expression] = []
    for index, node in enumerate(tape.nodes):
        if index in tape.stops:
            values.append(leaf("signal", tape.stops[index]))
        elif node.kind in OPERATIONS:
            values.append(operation(node.kind, *(values[k] for k in node.arguments)))
        else:
            values.append(leaf(node.kind, node.label))
    return values


def _product(adjoint: Expression, slope: Expression | float) -> Expression | None:
    """Their product without factors of 1 and with the sign in front; None where it is 0."""
    if isinstance(slope, Expression) and slope.kind == "negate":
        return -(adjoint * slope.arguments[0])
    number = slope.label if isinstance(slope, Expression) and slope.kind == "constant" else slope
    if isinstance(number, float) and number in (-1.0, 0.0, 1.0):
        return {-1.0: -adjoint, 0.0: None, 1.0: adjoint}[number]
    return adjoint * slope


def _total(first: Expression | None, second: Expression | None) -> Expression | None:
    """Their sum, where None is 0."""
    if first is None or second is None:
        return second if first is None else first
    return first - second.arguments[0] if second.kind == "negate" else first + second


def _linear(made: list[Expression], found: Mapping[str, Mapping[str, Expression]]) -> Reverse:
    """The expressions that the results need, as lines in the order in which they were made."""
    nodes, index = lines(made, [value for values in found.values() for value in values.values()])
    drives, states, parameters = (
        {label: index[id(value)] for label, value in found[kind].items()} for kind in ("drive", "state", "parameter")
    )
    read = {node.label for node in nodes if node.kind == "drive"}
    return Reverse(nodes, drives, states, parameters, tuple(label for label in drives if label in read))


def lines(made: list[Expression], results: Iterable[Expression]) -> tuple[tuple[Node, ...], dict[int, int]]:
    """What the results need of the expressions that were made, in this order; and the line of each, by its id."""
    needed = set(map(id, results))
    for value in reversed(made):
        if id(value) in needed:
            needed.update(map(id, value.arguments))
    kept = [value for value in made if id(value) in needed]
    index = {id(value): k for k, value in enumerate(kept)}
    return tuple(Node(value.kind, tuple(index[id(a)] for a in value.arguments), value.label) for value in kept), index
