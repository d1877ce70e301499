"""The forward derivatives of a tape: each state's derivative by everything that enters one step, as data.

A step is elementwise except for its recurrent drives u.k = U_k · h₋₁. So the Jacobian of a state by a state one step
earlier is a sum of simple terms, one for each *place* where the earlier state enters the equations:

- through a use of s.k in an equation: diag(a);
- through a recurrent drive: diag(b) · U_k.

This module derives a and b, by the chain rule, for every place and every state. An LSTM's cell state has four such
terms: f, which is direct, through `f * s.c`; f · (1 - f) · c₋₁ and two more through the recurrent drives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from gatescope.equations.derivatives import readable_values, to_lines
from gatescope.equations.formulas import Nested, text
from gatescope.equations.operations import JUMPS, OPERATIONS
from gatescope.equations.symbolic import Expression, leaf, operation, tracing
from gatescope.equations.tape import MAX_FORMULA_TERMS, Node, Tape

ROWS = OPERATIONS | JUMPS
Slope = Expression | float


@dataclass(frozen=True)
class Place:
    """A place where a quantity enters the equations.

    Attributes:
        kind: "state" (one use of s.k), "drive", "parameter", or "signal" (a state of this very step, changed where it
            is computed).
        label: the label of the quantity: "c", "u.f" or "x.f", "f", "c".
        name: the name of the place, unique for its kind and label. A drive, a parameter and a signal have one place
            each, named "u.f", "p.f", "c". A use of s.k is "direct" in the equation of k itself, "peephole f" if a
            parameter multiplies it in the equation of f, and "in f" otherwise; a second place of the same name is
            "direct 2". An expression that several equations share belongs to the one that is computed first.
    """

    kind: str
    label: str
    name: str

    @property
    def direct(self) -> bool:
        """Whether a state enters its own equation at this place."""
        return self.kind == "state" and self.name.split(" ")[0] == "direct"


@dataclass(frozen=True)
class Forward:
    """The derivatives of every state by everything that enters a step.

    Attributes:
        nodes: the lines, in order of computation: operations, including `JUMPS`, and the leaves "signal" (its recorded
            value), "state" (one step earlier), "drive", "parameter" and "constant".
        outputs: the states, and h.
        slopes: output -> place -> index of its derivative. Derivatives that are always 0 are left out.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    slopes: Mapping[str, Mapping[Place, int]]

    def reads(self) -> tuple[tuple[str, str], ...]:
        """Return the kind and label of every leaf that is read, except constants."""
        leaves = ((node.kind, str(node.label)) for node in self.nodes if node.kind not in (*ROWS, "constant"))
        return tuple(dict.fromkeys(leaves))

    def formula(self, output: str, place: Place) -> str:
        """Return the derivative as one line of text, as in `c₋₁ · f · (1 - f)`; "" if it is too long to read."""
        index = self.slopes[output][place]
        return text(self._nested(index)) if self._sizes[index] <= MAX_FORMULA_TERMS else ""

    @cached_property
    def _sizes(self) -> list[int]:
        """The number of terms of every line in print, where a shared expression is printed every time."""
        sizes: list[int] = []
        for node in self.nodes:
            sizes.append(1 + sum(sizes[k] for k in node.arguments))
        return sizes

    def expression(self, output: str, place: Place) -> Nested:
        """Return the derivative as nested JSON, in the schema of `gatescope.equations.expression`."""
        return self._nested(self.slopes[output][place])

    def _nested(self, index: int) -> Nested:
        node = self.nodes[index]
        if node.kind in ROWS:
            return {"operation": node.kind, "arguments": [self._nested(k) for k in node.arguments]}
        return {node.kind: f"p.{node.label}" if node.kind == "parameter" else node.label}

    def evaluate(self, read: Callable[[str, str], Any]) -> dict[str, dict[Place, Any]]:
        """Return all derivatives as NumPy arrays.

        Args:
            read: returns the values of a leaf, given its kind and label.

        Returns:
            Output -> place -> values, broadcast over the leaves; a constant derivative is a number.
        """
        values: list[Any] = []
        for node in self.nodes:
            if node.kind in ROWS:
                values.append(ROWS[node.kind].numpy(*(values[k] for k in node.arguments)))
            else:
                values.append(node.label if node.kind == "constant" else read(node.kind, str(node.label)))
        return {output: {place: values[k] for place, k in row.items()} for output, row in self.slopes.items()}


def forward(tape: Tape) -> Forward:
    """Return the forward derivatives of one step of a network without interventions."""
    return _forward(tape.nodes, tuple(tape.signals.items()))


@lru_cache(maxsize=64)
def _forward(lines: tuple[Node, ...], signals: tuple[tuple[str, int], ...]) -> Forward:
    """Differentiate a tape; its parts are hashable, the tape is not."""
    tape = Tape(lines, dict(signals))
    outputs = tape.states if "h" in tape.states else (*tape.states, "h")
    with tracing() as pool:
        values = readable_values(tape)
        derivatives: dict[str, dict[Place, Expression]] = {output: {} for output in outputs}
        for place, seed in _places(tape).items():
            tangents = _tangents(tape, values, seed)
            for output in outputs:
                slope = tangents[tape.signals[output]]
                if seed[1] is None and seed[2] not in (None, output):
                    continue  # the state under the name of another signal, which has a place of its own
                if slope is not None:
                    derivatives[output][place] = slope if isinstance(slope, Expression) else leaf("constant", slope)
        results = [slope for row in derivatives.values() for slope in row.values()]
        nodes, index = to_lines(list(pool.nodes.values()), results)
    slopes = {output: {place: index[id(slope)] for place, slope in row.items()} for output, row in derivatives.items()}
    return Forward(nodes, outputs, slopes)


# Where a derivative starts: a line of the tape; the position of the argument in this line, for a single use of a state;
# and the signal, for a state that is itself returned as a signal.
Seed = tuple[int, int | None, str | None]


def _places(tape: Tape) -> dict[Place, Seed]:
    """Return every place and where its derivative starts."""
    outputs = (*tape.states, *(() if "h" in tape.states else ("h",)))
    equation_of = _equations(tape)
    seeds: dict[Place, Seed] = {}
    for index, node in enumerate(tape.nodes):
        label = str(node.label)
        if node.kind in ("drive", "parameter"):
            seeds[Place(node.kind, label, label if node.kind == "drive" else f"p.{label}")] = (index, None, None)
        if node.kind == "state":
            for output in outputs:
                if tape.signals[output] == index:
                    _add_use(seeds, label, "direct" if output == label else f"in {output}", (index, None, output))
        for position, argument in enumerate(node.arguments):
            operand = tape.nodes[argument]
            if operand.kind == "state" and index in equation_of:
                name = _name_of_use(tape, node, position, equation_of[index])
                _add_use(seeds, str(operand.label), name, (index, position, None))
    for name in tape.states:
        seeds[Place("signal", name, name)] = (tape.signals[name], None, None)
    return seeds


def _add_use(seeds: dict[Place, Seed], label: str, name: str, seed: Seed) -> None:
    """Add a use of a state, numbered if the name is taken."""
    taken = sum(place.label == label and place.kind == "state" and _stem(place.name) == name for place in seeds)
    seeds[Place("state", label, f"{name} {taken + 1}" if taken else name)] = seed


def _stem(name: str) -> str:
    words = name.split(" ")
    return " ".join(words[:-1]) if words[-1].isdigit() else name


def _name_of_use(tape: Tape, node: Node, position: int, equation: str) -> str:
    label = tape.nodes[node.arguments[position]].label
    if equation == label:
        return "direct"
    weighted = node.kind == "multiply" and tape.nodes[node.arguments[1 - position]].kind == "parameter"
    return f"peephole {equation}" if weighted else f"in {equation}"


def _equations(tape: Tape) -> dict[int, str]:
    """Return line -> the first signal whose equation needs this line."""
    equation_of: dict[int, str] = {}
    for name, index in tape.signals.items():
        waiting = [index]
        while waiting:
            line = waiting.pop()
            if line not in equation_of:
                equation_of[line] = name
                waiting += tape.nodes[line].arguments
    return equation_of


def _tangents(tape: Tape, values: list[Expression], seed: Seed) -> list[Slope | None]:
    """Return the derivative of every line by the quantity that enters at one place; None if it is 0."""
    start, position, _ = seed
    tangents: list[Slope | None] = []
    for index, node in enumerate(tape.nodes):
        if index == start and position is None:
            tangents.append(1.0)
            continue
        total: Slope | None = None
        arguments = [values[k] for k in node.arguments]
        for place, argument in enumerate(node.arguments):
            tangent = 1.0 if (index, place) == (start, position) else tangents[argument]
            if tangent is not None:
                slope = ROWS[node.kind].partials[place](values[index], *arguments)
                total = _sum(total, _product(tangent, slope))
        tangents.append(total)
    return tangents


def _product(tangent: Slope, slope: Slope) -> Slope | None:
    """Return the product without factors of 1 and with the sign in front; None if it is 0."""
    for factor, other in ((tangent, slope), (slope, tangent)):
        number = factor.label if isinstance(factor, Expression) and factor.kind == "constant" else factor
        if isinstance(number, float) and number in (-1.0, 0.0, 1.0):
            return {0.0: None, 1.0: other, -1.0: -other}[number]
    for factor, other in ((tangent, slope), (slope, tangent)):
        if isinstance(factor, Expression) and factor.kind == "negate":
            return -operation("multiply", other, factor.arguments[0])
    return operation("multiply", slope, tangent)


def _sum(first: Slope | None, second: Slope | None) -> Slope | None:
    """Return the sum, where None is 0."""
    if first is None or second is None:
        return second if first is None else first
    if isinstance(second, Expression) and second.kind == "negate":
        return first - second.arguments[0]
    return first + second
