"""The tape: a cell's equations as data, from which everything else is derived.

A tape lists the operations of one step in the order of computation. It results from calling the cell's function once on
symbols, and it is plain data: it can be stored as JSON, compared, and evaluated with the arrays of any library. It has
no sizes and no weights.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from math import inf
from typing import Any

from gatescope.equations.operations import OPERATIONS, Interval
from gatescope.equations.symbolic import LEAVES, EquationError, Expression, Namespace, tracing

MAX_FORMULA_TERMS = 200

CellFunction = Callable[[Any, Any, Any, Any], Mapping[str, Expression]]


@dataclass(frozen=True)
class Node:
    """One line of the tape.

    Attributes:
        kind: an operation, or the kind of a leaf.
        arguments: the lines that an operation reads, as indices.
        label: the name of a leaf, or the value of a constant.
    """

    kind: str
    arguments: tuple[int, ...] = ()
    label: str | float = ""


@dataclass(frozen=True)
class Tape:
    """The equations of one step.

    Attributes:
        nodes: the lines, in order of computation.
        signals: name of a returned signal -> index of its node, in order of computation.
    """

    nodes: tuple[Node, ...]
    signals: Mapping[str, int]

    def _labels(self, kind: str, prefix: str = "") -> tuple[str, ...]:
        labels = (str(node.label) for node in self.nodes if node.kind == kind)
        return tuple(label.removeprefix(prefix) for label in labels if label.startswith(prefix))

    @cached_property
    def input_drives(self) -> tuple[str, ...]:
        """Names k of the used x.k = W.k · input + b.k, in the order of first use."""
        return self._labels("drive", "x.")

    @cached_property
    def recurrent_drives(self) -> tuple[str, ...]:
        """Names k of the used u.k = U.k · h one step earlier, in the order of first use."""
        return self._labels("drive", "u.")

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names k of the used p.k: one learned number per neuron."""
        return self._labels("parameter")

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The states, which the next step reads: every signal used as s.k, and h if a recurrent drive reads it."""
        used = set(self._labels("state")) | ({"h"} if self.recurrent_drives else set())
        return tuple(name for name in self.signals if name in used)

    @cached_property
    def stops(self) -> dict[int, str]:
        """Index of a node -> name of its signal; the first name, if a node has two."""
        return {index: name for name, index in reversed(list(self.signals.items()))}

    @cached_property
    def ranges(self) -> dict[str, Interval]:
        """Signal -> closed range of all values it can take after the initial state 0.

        Interval arithmetic on the tape, iterated over the steps until the ranges of the states stop growing; a bound
        that keeps growing is infinite. Convex combinations (a gate times one value plus one minus the gate times
        another) are recognised, so a GRU's hidden state is known to stay between -1 and 1.
        """
        states: dict[str, Interval] = dict.fromkeys(self.states, (0.0, 0.0))
        ranges: dict[str, Interval] = {}
        for iteration in count():  # ends, because from the fifth step on a bound can only become infinite
            ranges = self._step_ranges(states)
            grown = dict(states)
            for name in self.states:
                low, high = min(states[name][0], ranges[name][0]), max(states[name][1], ranges[name][1])
                widen = iteration >= 4
                grown[name] = (
                    -inf if widen and low < states[name][0] else low,
                    inf if widen and high > states[name][1] else high,
                )
            if grown == states:
                break
            states = grown
        return ranges

    def _step_ranges(self, states: Mapping[str, Interval]) -> dict[str, Interval]:
        ranges: list[Interval] = []
        for node in self.nodes:
            if node.kind == "constant":
                ranges.append((float(node.label), float(node.label)))
            elif node.kind == "state":
                ranges.append(states[str(node.label)])
            elif node.kind in LEAVES:
                ranges.append((-inf, inf))
            else:
                hull = self._convex_hull(node, ranges) if node.kind == "add" else None
                ranges.append(hull or OPERATIONS[node.kind].interval(*(ranges[k] for k in node.arguments)))
        return {name: ranges[index] for name, index in self.signals.items()}

    def _convex_hull(self, node: Node, ranges: list[Interval]) -> Interval | None:
        """Return the range of (1 - z) · a + z · b with z in [0, 1]: from the smaller to the larger of a and b.

        Returns None if the node is not such a sum.
        """
        left, right = (self.nodes[k] for k in node.arguments)
        if left.kind != "multiply" or right.kind != "multiply":
            return None
        for weight, a in (left.arguments, left.arguments[::-1]):
            for other, b in (right.arguments, right.arguments[::-1]):
                low, high = ranges[weight]
                if self._complementary(weight, other) and low >= 0 and high <= 1:
                    return min(ranges[a][0], ranges[b][0]), max(ranges[a][1], ranges[b][1])
        return None

    def _complementary(self, first: int, second: int) -> bool:
        """Return whether one node is written as 1 minus the other."""
        for whole, part in ((first, second), (second, first)):
            node = self.nodes[whole]
            if node.kind == "subtract" and node.arguments[1] == part:
                minuend = self.nodes[node.arguments[0]]
                return minuend.kind == "constant" and minuend.label == 1.0
        return False


def trace_function(function: CellFunction) -> Tape:
    """Call a cell's function once on symbols and record its operations.

    Args:
        function: takes (x, u, p, s) and returns a dict of named signals, "h" among them.

    Raises:
        EquationError: the function branches, returns something else, has no "h", uses a state that it does not
            return, or uses a name that cannot be an axis label.
    """
    name = getattr(function, "__name__", "the cell")
    if len(inspect.signature(function).parameters) != 4:
        raise EquationError("CELL_SIGNATURE_INVALID", name=name, signature=inspect.signature(function))
    with tracing() as pool:
        namespaces = (Namespace("drive", "x."), Namespace("drive", "u."), Namespace("parameter", ""))
        try:
            signals = function(*namespaces, Namespace("state", ""))
        except (TypeError, AttributeError) as error:
            operations = ", ".join(OPERATIONS)
            raise EquationError("CELL_FUNCTION_INVALID", name=name, error=error, operations=operations) from error
        if not isinstance(signals, Mapping) or not signals:
            raise EquationError("CELL_RESULT_INVALID", name=name, kind=type(signals).__name__)
        for signal, value in signals.items():
            if not isinstance(value, Expression):
                raise EquationError("CELL_SIGNAL_INVALID", name=name, signal=signal, value=value)
            pool.check_own(value)
        return _tape(name, signals)


def _tape(name: str, signals: Mapping[str, Expression]) -> Tape:
    index: dict[int, int] = {}
    nodes: list[Node] = []

    def visit(expression: Expression) -> int:
        if id(expression) not in index:
            arguments = tuple(visit(argument) for argument in expression.arguments)
            index[id(expression)] = len(nodes)
            nodes.append(Node(expression.kind, arguments, expression.label))
        return index[id(expression)]

    for value in signals.values():
        visit(value)
    ordered = sorted(signals, key=lambda key: index[id(signals[key])])
    return check_tape(Tape(tuple(nodes), {key: index[id(signals[key])] for key in ordered}), name)


def check_tape(tape: Tape, name: str) -> Tape:
    """Return the tape, if it describes a cell that can be run, stored and printed.

    Args:
        tape: the equations.
        name: the cell's name, for messages.

    Raises:
        EquationError: there is no "h", a state without a signal, a name that cannot be an axis label, a repeated
            quantity, a signal that is a constant, or a formula too long to print.
    """
    leaves = [(node.kind, str(node.label)) for node in tape.nodes if node.kind in LEAVES]
    names = [label.removeprefix("x.").removeprefix("u.") if kind == "drive" else label for kind, label in leaves]
    for (kind, label), stem in [*zip(leaves, names, strict=True), *((("signal", k), k) for k in tape.signals)]:
        if kind != "constant" and not (isinstance(stem, str) and stem.isidentifier()):
            raise EquationError("CELL_LABEL_INVALID", name=name, kind=kind, label=label)
        if kind == "drive" and not label.startswith(("x.", "u.")):
            raise EquationError("CELL_DRIVE_INVALID", name=name, label=label)
    repeated = [label for (kind, label), count in Counter(leaves).items() if count > 1 and kind != "constant"]
    if repeated:
        raise EquationError("CELL_LABELS_REPEATED", name=name, labels=", ".join(repeated))
    if "h" not in tape.signals:
        raise EquationError("CELL_HIDDEN_SIGNAL_MISSING", name=name, signals=", ".join(tape.signals))
    missing = {str(node.label) for node in tape.nodes if node.kind == "state"} - set(tape.signals)
    if missing:
        raise EquationError("CELL_STATE_NOT_RETURNED", name=name, states=", ".join(sorted(missing)))
    _check_formulas(tape, name)
    return tape


def _check_formulas(tape: Tape, name: str) -> None:
    """Refuse signals that are constants, and formulas whose printed form, which shares nothing, would be huge."""
    constant: list[bool] = []
    terms: list[int] = []
    for node in tape.nodes:
        constant.append(node.kind == "constant" or (bool(node.arguments) and all(constant[k] for k in node.arguments)))
        terms.append(1 + sum(1 if k in tape.stops else terms[k] for k in node.arguments))
    for signal, index in tape.signals.items():
        if constant[index]:
            raise EquationError("CELL_SIGNAL_CONSTANT", signal=signal, name=name)
        if terms[index] > MAX_FORMULA_TERMS:
            raise EquationError("CELL_SIGNAL_TOO_LONG", signal=signal, name=name, most=MAX_FORMULA_TERMS)
