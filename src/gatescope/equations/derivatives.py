"""The reverse derivative of a tape: the backward pass of one step, as data.

It is derived from the tape by the chain rule, operation by operation, and reads the recorded signals instead of
computing them again. It allows for interventions: if a signal is changed (value <- scale · value + shift), its uses
read the changed value, while the operation that computed it has the value before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gatescope.equations.operations import OPERATIONS
from gatescope.equations.symbolic import Expression, leaf, operation, tracing
from gatescope.equations.tape import Node, Tape


@dataclass(frozen=True)
class Reverse:
    """The derivatives of a loss L by everything that one step of a tape reads.

    The kinds of nodes are the operations, including `JUMPS`, "back", and these leaves:

    - "gradient" k: dL/d(signal k), the part that arrives from outside the step;
    - "signal" k: the recorded value, after an intervention; "before" k: the value before it;
    - "state" k (one step earlier), "parameter" k, "constant" and "drive" k, which is a residual.

    "back" k turns dL/d(signal k) into dL/d(before k): it multiplies by the scale of the intervention. If a node has two
    names, only the first one is a label here, except for "gradient".

    Attributes:
        nodes: the lines, in order of computation.
        drives: drive of the tape -> node of dL/d(drive).
        states: state one step earlier -> node of its derivative.
        parameters: parameter -> node of its derivative.
        residuals: the drives that are read. No signal has their values, so the forward step must store them.
    """

    nodes: tuple[Node, ...]
    drives: Mapping[str, int]
    states: Mapping[str, int]
    parameters: Mapping[str, int]
    residuals: tuple[str, ...]


def reverse(tape: Tape) -> Reverse:
    """Return the reverse derivative of one step. A tape with joined drives needs fewer residuals and operations.

    Derivatives are added in a fixed order: first the one from outside the step, then the uses from the last to the
    first.
    """
    with tracing() as pool:
        values = readable_values(tape)
        adjoints: list[Expression | None] = [None] * len(tape.nodes)
        for name, index in tape.signals.items():
            adjoints[index] = _total(adjoints[index], leaf("gradient", name))
        for index in reversed(range(len(tape.nodes))):
            node, adjoint, result = tape.nodes[index], adjoints[index], values[index]
            if adjoint is None:
                continue
            if index in tape.stops:
                adjoint = adjoints[index] = pool.get("back", (adjoint,), tape.stops[index])
                result = leaf("before", tape.stops[index])
            if node.kind in OPERATIONS:
                arguments = [values[k] for k in node.arguments]
                for argument, partial in zip(node.arguments, OPERATIONS[node.kind].partials, strict=True):
                    adjoints[argument] = _total(adjoints[argument], _product(adjoint, partial(result, *arguments)))
        results: dict[str, dict[str, Expression]] = {"drive": {}, "state": {}, "parameter": {}}
        for node, adjoint in zip(tape.nodes, adjoints, strict=True):
            if node.kind in results:
                results[node.kind][str(node.label)] = leaf("constant", 0.0) if adjoint is None else adjoint
        return _as_reverse(list(pool.nodes.values()), results)


def readable_values(tape: Tape) -> list[Expression]:
    """Return the value of every line of the tape: a recorded signal, or computed again from signals and leaves."""
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
    """Return the product without factors of 1 and with the sign in front; None if it is 0."""
    if isinstance(slope, Expression) and slope.kind == "negate":
        return -(adjoint * slope.arguments[0])
    number = slope.label if isinstance(slope, Expression) and slope.kind == "constant" else slope
    if isinstance(number, float) and number in (-1.0, 0.0, 1.0):
        return {-1.0: -adjoint, 0.0: None, 1.0: adjoint}[number]
    return adjoint * slope


def _total(first: Expression | None, second: Expression | None) -> Expression | None:
    """Return the sum, where None is 0."""
    if first is None or second is None:
        return second if first is None else first
    return first - second.arguments[0] if second.kind == "negate" else first + second


def _as_reverse(expressions: list[Expression], results: Mapping[str, Mapping[str, Expression]]) -> Reverse:
    """Return the results as lines of a tape."""
    nodes, index = to_lines(expressions, [value for values in results.values() for value in values.values()])
    drives, states, parameters = (
        {label: index[id(value)] for label, value in results[kind].items()} for kind in ("drive", "state", "parameter")
    )
    read = {node.label for node in nodes if node.kind == "drive"}
    return Reverse(nodes, drives, states, parameters, tuple(label for label in drives if label in read))


def to_lines(expressions: list[Expression], results: Iterable[Expression]) -> tuple[tuple[Node, ...], dict[int, int]]:
    """Return the expressions that the results need as lines, in the same order.

    Args:
        expressions: all expressions, in order of computation.
        results: some of them.

    Returns:
        The lines, and id of an expression -> index of its line.
    """
    needed = set(map(id, results))
    for value in reversed(expressions):
        if id(value) in needed:
            needed.update(map(id, value.arguments))
    used = [value for value in expressions if id(value) in needed]
    index = {id(value): k for k, value in enumerate(used)}
    return tuple(Node(value.kind, tuple(index[id(a)] for a in value.arguments), value.label) for value in used), index
