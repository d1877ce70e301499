"""The tape: a cell's equations as data, from which everything else is derived.

A tape lists the operations of one step in the order in which they are computed. It is made by running the cell's
function once on symbols, and it is plain data: it can be stored as JSON, compared, and evaluated with any library's
arrays. It knows nothing of sizes, weights or training.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from math import inf
from typing import Any

from gatescope.equations.expression import LEAVES, EquationError, Expression, Namespace, tracing
from gatescope.equations.operations import OPERATIONS, Interval

LONGEST_FORMULA = 200  # terms

CellFunction = Callable[[Any, Any, Any, Any], Mapping[str, Expression]]


@dataclass(frozen=True)
class Node:
    """One line of the tape: a leaf with its label, or an operation on earlier lines (their indices)."""

    kind: str
    arguments: tuple[int, ...] = ()
    label: str | float = ""


@dataclass(frozen=True)
class Tape:
    """The equations of one step.

    `nodes` are in order of computation; `signals` maps each returned name to its node, in the order in which the
    cell computes them.
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
        """The states, which the next step reads: every signal used as s.k, and h when a recurrent drive reads it."""
        used = set(self._labels("state")) | ({"h"} if self.recurrent_drives else set())
        return tuple(name for name in self.signals if name in used)

    @cached_property
    def stops(self) -> dict[int, str]:
        """The node of each signal and its name (the first name, where two names mean the same node)."""
        return {index: name for name, index in reversed(list(self.signals.items()))}

    @cached_property
    def ranges(self) -> dict[str, Interval]:
        """A closed range that contains every value each signal can take from the initial state 0.

        Interval arithmetic on the tape, iterated over the steps until the states' ranges stop growing; a bound that
        goes on growing is infinite. Convex combinations (a gate times one value plus one minus the gate times
        another) are recognised, so a GRU's hidden state is known to stay within -1 and 1.
        """
        states: dict[str, Interval] = dict.fromkeys(self.states, (0.0, 0.0))
        found: dict[str, Interval] = {}
        for iteration in count():  # ends: from the fifth on, a bound can only become infinite
            found = self._step_ranges(states)
            grown = dict(states)
            for name in self.states:
                low, high = min(states[name][0], found[name][0]), max(states[name][1], found[name][1])
                widen = iteration >= 4
                grown[name] = (
                    -inf if widen and low < states[name][0] else low,
                    inf if widen and high > states[name][1] else high,
                )
            if grown == states:
                break
            states = grown
        return found

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
        """The range of (1 - z) · a + z · b with z in [0, 1]: from the smaller to the larger of a and b."""
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
        """Whether one node is written as 1 minus the other."""
        for whole, part in ((first, second), (second, first)):
            node = self.nodes[whole]
            if node.kind == "subtract" and node.arguments[1] == part:
                one = self.nodes[node.arguments[0]]
                return one.kind == "constant" and one.label == 1.0
        return False


def join_drives(tape: Tape, apart: Collection[str] = ()) -> tuple[Tape, tuple[str, ...]]:
    """The same equations with x.k + u.k as one drive "k" wherever that sum is the only use of both.

    An engine can then add the recurrent product to the input drive while it multiplies, instead of afterwards.

    Args:
        tape: the equations.
        apart: drives ("x.k", "u.k") that must stay what they are.

    Returns:
        The rewritten tape and the names k of the joined drives, in the order of the recurrent drives.
    """
    uses = Counter(argument for node in tape.nodes for argument in node.arguments)
    uses.update(tape.signals.values())
    drive_at = {node.label: k for k, node in enumerate(tape.nodes) if node.kind == "drive"}
    sums: dict[int, str] = {}
    for name in tape.recurrent_drives:
        pair = {f"x.{name}", f"u.{name}"}
        places = {drive_at[label] for label in pair if label in drive_at}
        if len(places) == 2 and not pair & set(apart) and all(uses[k] == 1 for k in places):
            found = [k for k, node in enumerate(tape.nodes) if node.kind == "add" and set(node.arguments) == places]
            sums.update(dict.fromkeys(found, name))
    nodes = tuple(Node("drive", (), sums[k]) if k in sums else node for k, node in enumerate(tape.nodes))
    needed = {argument for node in nodes for argument in node.arguments} | set(tape.signals.values())
    new = {old: k for k, old in enumerate(k for k in range(len(nodes)) if k in needed)}
    kept = tuple(Node(nodes[k].kind, tuple(new[j] for j in nodes[k].arguments), nodes[k].label) for k in new)
    return Tape(kept, {name: new[k] for name, k in tape.signals.items()}), tuple(sums.values())


def trace_function(function: CellFunction) -> Tape:
    """Run a cell's function once on symbols and keep what it did.

    Args:
        function: takes (x, u, p, s) and returns a dict of named signals, "h" among them.

    Raises:
        EquationError: the function branches, returns something else, has no "h", uses a state it does not return,
            or uses a name that cannot be an axis label.
    """
    name = getattr(function, "__name__", "the cell")
    if len(inspect.signature(function).parameters) != 4:
        raise EquationError("TAPE_TAKES_CELL_FUNCTION_TAKES", name=name, signature=inspect.signature(function))
    with tracing() as pool:
        namespaces = (Namespace("drive", "x."), Namespace("drive", "u."), Namespace("parameter", ""))
        try:
            signals = function(*namespaces, Namespace("state", ""))
        except (TypeError, AttributeError) as error:
            raise EquationError(
                "TAPE_SOMETHING_EQUATION_USE_OPERATIONS", name=name, error=error, operations=", ".join(OPERATIONS)
            ) from error
        if not isinstance(signals, Mapping) or not signals:
            raise EquationError("TAPE_RETURNED_RETURN_DICT", name=name, name2=type(signals).__name__)
        for key, value in signals.items():
            if not isinstance(value, Expression):
                raise EquationError("TAPE_RETURNED_COMPUTED", name=name, key=key, value=value)
            pool.own(value)
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
    return checked(Tape(tuple(nodes), {key: index[id(signals[key])] for key in ordered}), name)


def checked(tape: Tape, name: str) -> Tape:
    """The tape itself, when it describes a cell that can be run, stored and printed.

    Raises:
        EquationError: there is no "h", a state that no signal provides, a name that cannot be an axis label, a quantity
            that is there twice, a signal that is only a number, or a formula that nobody could read.
    """
    leaves = [(node.kind, str(node.label)) for node in tape.nodes if node.kind in LEAVES]
    names = [label.removeprefix("x.").removeprefix("u.") if kind == "drive" else label for kind, label in leaves]
    for (kind, label), given in [*zip(leaves, names, strict=True), *((("signal", k), k) for k in tape.signals)]:
        if kind != "constant" and not (isinstance(given, str) and given.isidentifier()):
            raise EquationError("TAPE_NAMED_USE_PYTHON_IDENTIFIER", name=name, kind=kind, label=label)
        if kind == "drive" and not label.startswith(("x.", "u.")):
            raise EquationError("TAPE_DRIVE_NAMED_DRIVES_NAME", name=name, label=label)
    twice = [label for (kind, label), times in Counter(leaves).items() if times > 1 and kind != "constant"]
    if twice:
        raise EquationError("TAPE_LISTS_ONCE", name=name, twice=", ".join(twice))
    if "h" not in tape.signals:
        raise EquationError("TAPE_RETURNS_BUT_SIGNAL_NAMED", name=name, signals=", ".join(tape.signals))
    missing = {str(node.label) for node in tape.nodes if node.kind == "state"} - set(tape.signals)
    if missing:
        states = ", ".join(sorted(missing))
        raise EquationError("TAPE_USES_STATE_BUT_RETURN", name=name, states=states)
    _check_formulas(tape, name)
    return tape


def _check_formulas(tape: Tape, name: str) -> None:
    """Refuse signals that are only numbers, and formulas whose printed form would be huge (it has no sharing)."""
    fixed: list[bool] = []
    terms: list[int] = []
    for node in tape.nodes:
        fixed.append(node.kind == "constant" or (bool(node.arguments) and all(fixed[k] for k in node.arguments)))
        terms.append(1 + sum(1 if k in tape.stops else terms[k] for k in node.arguments))
    for signal, index in tape.signals.items():
        if fixed[index]:
            raise EquationError("TAPE_SIGNAL_NUMBER_LEAVE_OUT", signal=signal, name=name)
        if terms[index] > LONGEST_FORMULA:
            raise EquationError(
                "TAPE_EQUATION_TERMS_NAME_PARTS", signal=signal, name=name, longest_formula=LONGEST_FORMULA
            )
