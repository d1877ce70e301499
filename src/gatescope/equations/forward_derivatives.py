"""The forward derivatives of a tape: what each state says of everything that enters one step, as data.

A step is elementwise except for its recurrent drives u.k = U_k · h₋₁. So the Jacobian of a state by a state one step
earlier is a sum of simple terms, one for each *place* where the earlier state enters the equations:

- through a use of s.k in an equation: diag(a);
- through a recurrent drive: diag(b) · U_k.

a and b are what this module derives, by the chain rule, for every place and every state. Of an LSTM's cell state there
are four, one of them direct: f through `f * s.c`, and f · (1 - f) · c₋₁ and two more through the drives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gatescope.equations.derivatives import lines, readable
from gatescope.equations.expression import Expression, leaf, operation, tracing
from gatescope.equations.formulas import Nested, text
from gatescope.equations.operations import JUMPS, OPERATIONS
from gatescope.equations.tape import LONGEST_FORMULA, Node, Tape

ROWS = OPERATIONS | JUMPS
Slope = Expression | float


@dataclass(frozen=True)
class Place:
    """Where something enters the equations.

    Attributes:
        kind: "state" (one use of s.k), "drive", "parameter", or "signal" (a state of this very step, changed where it
            is computed).
        label: of what enters: "c", "u.f" or "x.f", "f", "c".
        name: of the place, unlike that of any other place of the same kind and label. A drive, a parameter and a signal
            have one place each and it is called "u.f", "p.f", "c". A use of s.k is "direct" where it stands in the
            equation of k itself, "peephole f" where a parameter multiplies it in the equation of f, and "in f"
            otherwise; a second one of the same name is "direct 2". An expression that several equations share belongs
            to the one that is computed first.
    """

    kind: str
    label: str
    name: str

    @property
    def direct(self) -> bool:
        """Whether a state enters its own equation here."""
        return self.kind == "state" and self.name.split(" ")[0] == "direct"


@dataclass(frozen=True)
class Forward:
    """The derivatives of every state by everything that enters a step.

    Attributes:
        nodes: the lines, in order of computation: operations, those of `JUMPS` among them, and leaves that are read,
            "signal" (its recorded value), "state" (one step earlier), "drive", "parameter" and "constant".
        outputs: the states, and h.
        slopes: output -> place -> the line of its derivative. A derivative that is 0 whatever is read is not there.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    slopes: Mapping[str, Mapping[Place, int]]

    def reads(self) -> tuple[tuple[str, str], ...]:
        """The kind and label of every leaf that is read, constants aside."""
        found = ((node.kind, str(node.label)) for node in self.nodes if node.kind not in (*ROWS, "constant"))
        return tuple(dict.fromkeys(found))

    def formula(self, output: str, place: Place) -> str:
        """The derivative as one line of text, as in `c₋₁ · f · (1 - f)`; "" where nobody could read it."""
        index = self.slopes[output][place]
        return text(self._nested(index)) if self._sizes[index] <= LONGEST_FORMULA else ""

    @cached_property
    def _sizes(self) -> list[int]:
        """The number of terms of every line when it is printed; what lines share is printed every time."""
        sizes: list[int] = []
        for node in self.nodes:
            sizes.append(1 + sum(sizes[k] for k in node.arguments))
        return sizes

    def expression(self, output: str, place: Place) -> Nested:
        """The derivative as nested JSON, in the schema of `gatescope.equations.expression`."""
        return self._nested(self.slopes[output][place])

    def _nested(self, index: int) -> Nested:
        node = self.nodes[index]
        if node.kind in ROWS:
            return {"operation": node.kind, "arguments": [self._nested(k) for k in node.arguments]}
        return {node.kind: f"p.{node.label}" if node.kind == "parameter" else node.label}

    def evaluate(self, read: Callable[[str, str], Any]) -> dict[str, dict[Place, Any]]:
        """All derivatives as NumPy arrays.

        Args:
            read: gives the values of a leaf, of its kind and label.

        Returns:
            Output -> place -> values, of the shape that the leaves have together; a constant is a number.
        """
        values: list[Any] = []
        for node in self.nodes:
            if node.kind in ROWS:
                values.append(ROWS[node.kind].numpy(*(values[k] for k in node.arguments)))
            else:
                values.append(node.label if node.kind == "constant" else read(node.kind, str(node.label)))
        return {output: {place: values[k] for place, k in row.items()} for output, row in self.slopes.items()}


def forward(tape: Tape) -> Forward:
    """The forward derivatives of one step, for a network that runs without interventions."""
    outputs = tape.states if "h" in tape.states else (*tape.states, "h")
    with tracing() as pool:
        known = readable(tape)
        found: dict[str, dict[Place, Expression]] = {output: {} for output in outputs}
        for place, seed in _places(tape).items():
            tangents = _tangents(tape, known, seed)
            for output in outputs:
                slope = tangents[tape.signals[output]]
                if seed[1] is None and seed[2] not in (None, output):
                    continue  # the state itself, under the name of another signal: a place of its own
                if slope is not None:
                    found[output][place] = slope if isinstance(slope, Expression) else leaf("constant", slope)
        results = [slope for row in found.values() for slope in row.values()]
        nodes, index = lines(list(pool.nodes.values()), results)
    slopes = {output: {place: index[id(slope)] for place, slope in row.items()} for output, row in found.items()}
    return Forward(nodes, outputs, slopes)


# A line of the tape and, where only one use of it counts, the position of an argument in the line that uses it; for a
# leaf that is itself a signal, which signal.
Seed = tuple[int, int | None, str | None]


def _places(tape: Tape) -> dict[Place, Seed]:
    """Every place, and where its derivative starts."""
    outputs = (*tape.states, *(() if "h" in tape.states else ("h",)))
    written = _equations(tape)
    found: dict[Place, Seed] = {}
    for index, node in enumerate(tape.nodes):
        label = str(node.label)
        if node.kind in ("drive", "parameter"):
            found[Place(node.kind, label, label if node.kind == "drive" else f"p.{label}")] = (index, None, None)
        if node.kind == "state":
            for output in outputs:
                if tape.signals[output] == index:
                    _add(found, label, "direct" if output == label else f"in {output}", (index, None, output))
        for position, argument in enumerate(node.arguments):
            used = tape.nodes[argument]
            if used.kind == "state" and index in written:
                _add(found, str(used.label), _name(tape, node, position, written[index]), (index, position, None))
    for name in tape.states:
        found[Place("signal", name, name)] = (tape.signals[name], None, None)
    return found


def _add(found: dict[Place, Seed], label: str, name: str, seed: Seed) -> None:
    """A use of a state, numbered where there is another one of this name."""
    taken = sum(place.label == label and place.kind == "state" and _stem(place.name) == name for place in found)
    found[Place("state", label, f"{name} {taken + 1}" if taken else name)] = seed


def _stem(name: str) -> str:
    words = name.split(" ")
    return " ".join(words[:-1]) if words[-1].isdigit() else name


def _name(tape: Tape, node: Node, position: int, equation: str) -> str:
    label = tape.nodes[node.arguments[position]].label
    if equation == label:
        return "direct"
    weighed = node.kind == "multiply" and tape.nodes[node.arguments[1 - position]].kind == "parameter"
    return f"peephole {equation}" if weighed else f"in {equation}"


def _equations(tape: Tape) -> dict[int, str]:
    """In which signal's equation each line is written: the first one that needs it."""
    found: dict[int, str] = {}
    for name, index in tape.signals.items():
        waiting = [index]
        while waiting:
            line = waiting.pop()
            if line not in found:
                found[line] = name
                waiting += tape.nodes[line].arguments
    return found


def _tangents(tape: Tape, known: list[Expression], seed: Seed) -> list[Slope | None]:
    """The derivative of every line by what enters at one place; None where it is 0."""
    start, position, _ = seed
    tangents: list[Slope | None] = []
    for index, node in enumerate(tape.nodes):
        if index == start and position is None:
            tangents.append(1.0)
            continue
        total: Slope | None = None
        arguments = [known[k] for k in node.arguments]
        for place, argument in enumerate(node.arguments):
            tangent = 1.0 if (index, place) == (start, position) else tangents[argument]
            if tangent is not None:
                slope = ROWS[node.kind].partials[place](known[index], *arguments)
                total = _sum(total, _product(tangent, slope))
        tangents.append(total)
    return tangents


def _product(tangent: Slope, slope: Slope) -> Slope | None:
    """Their product, without factors of 1 and with the sign in front; None where it is 0."""
    for one, other in ((tangent, slope), (slope, tangent)):
        number = one.label if isinstance(one, Expression) and one.kind == "constant" else one
        if isinstance(number, float) and number in (-1.0, 0.0, 1.0):
            return {0.0: None, 1.0: other, -1.0: -other}[number]
    for one, other in ((tangent, slope), (slope, tangent)):
        if isinstance(one, Expression) and one.kind == "negate":
            return -operation("multiply", other, one.arguments[0])
    return operation("multiply", slope, tangent)


def _sum(first: Slope | None, second: Slope | None) -> Slope | None:
    """Their sum, where None is 0."""
    if first is None or second is None:
        return second if first is None else first
    if isinstance(second, Expression) and second.kind == "negate":
        return first - second.arguments[0]
    return first + second
