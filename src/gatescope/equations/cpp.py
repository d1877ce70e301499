"""A cell's equations as a C++ struct: one step forward and one step backward, on vectors of any kind.

The text includes nothing and sits in no namespace. Where it is included, these must be known: the functions of the
column `cpp` of `OPERATIONS` and `JUMPS` on the vectors V, the operators + - * / on them, and
`template <class V> V constant(double)`.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import chain, count
from textwrap import wrap
from typing import Protocol

from gatescope.equations.derivatives import Reverse, reverse
from gatescope.equations.formulas import expression, text
from gatescope.equations.operations import ATOM, JUMPS, OPERATIONS
from gatescope.equations.serialization import key
from gatescope.equations.tape import Node, Tape, join_drives

ROWS = OPERATIONS | JUMPS
KEYWORDS = """
    alignas alignof and_eq asm auto bitand bitor bool case catch char char16_t char32_t char8_t co_await co_return
    co_yield compl concept const const_cast consteval constexpr constinit decltype default delete do double dynamic_cast
    enum explicit export extern false float friend goto inline int long mutable namespace new noexcept not_eq nullptr
    operator or_eq private protected public register reinterpret_cast requires short signed sizeof static static_assert
    static_cast struct switch template this thread_local throw true typedef typeid typename union unsigned using virtual
    void volatile wchar_t xor xor_eq
"""
MEMBERS = """
    key name input_alone joined recurrent_alone states parameters signals residuals hidden state_signal residual_drive
    forward backward V Change change constant drive state parameter signal residual gradient d_drive d_state d_parameter
"""
TAKEN = {*KEYWORDS.split(), *MEMBERS.split(), *(row.cpp.partition("(")[0] for row in ROWS.values() if "(" in row.cpp)}

Labels = Mapping[str, tuple[str, ...]]

HEAD = """\
// One step of every built-in cell, forward and backward. Written by gatescope.cells.generate from the cells' equations.
//
// drive      x.k = W.k input + b.k where it stands alone, then x.k + u.k where both are only used as that sum (xu_k),
//            then u.k = U.k h, with h one step earlier, where it stands alone
// state      signals one step earlier (s_k)
// parameter  p.k, one number per neuron
// signal     what the step computes, changed where an intervention says so (value <- scale * value + shift)
// gradient   dL/d(signal), all that arrives from outside the step
// residual   the drives that the backward step reads and that no signal tells: drive[residual_drive[j]]
//
// change(k, value)         forward: signal k after its change
// change.before(k, value)  backward: signal k before its change, where value is what it became
// change.back(k, value)    backward: scale * value
//
// Results are written when everything has been read.
"""


class Described(Protocol):
    """The part of a cell that the generator needs: its name, its paper and its equations."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def title(self) -> str: ...  # noqa: D102

    @property
    def paper(self) -> str: ...  # noqa: D102

    @property
    def tape(self) -> Tape: ...  # noqa: D102


def source(cells: Iterable[Described]) -> str:
    """The whole header: a struct for each cell, and `GATESCOPE_CELLS(X)`, which stands for X(name) of each of them."""
    cells = tuple(cells)
    listed = " \\\n".join(
        ["#define GATESCOPE_CELLS(X)", *(f"    X({_identifier(cell.name, TAKEN)})" for cell in cells)]
    )
    return "\n".join([HEAD, *map(_struct, cells), listed, ""])


def _struct(cell: Described) -> str:
    tape, joined = join_drives(cell.tape)
    backward = reverse(tape)
    input_alone = tuple(f"x.{k}" for k in cell.tape.input_drives if k not in joined)
    recurrent_alone = tuple(f"u.{k}" for k in cell.tape.recurrent_drives if k not in joined)
    drives, signals = (*input_alone, *joined, *recurrent_alone), tuple(tape.signals)
    states, parameters = cell.tape.states, cell.tape.parameters
    labels = {"drive": drives, "state": states, "parameter": parameters, "signal": signals}
    lines = [
        *(f"// {line}" for line in wrap(f"{cell.title}. {cell.paper}", 117)),
        "//",
        *(f"//   {signal} = {text(expression(cell.tape, signal))}" for signal in signals),
        f"struct {_identifier(cell.name, TAKEN)} {{",
        f'    static constexpr const char* key = "{key(cell.tape)}";',
        f'    static constexpr const char* name = "{cell.name}";',
        f"    static constexpr int {_counts(input_alone=input_alone, joined=joined, recurrent_alone=recurrent_alone)};",
        f"    static constexpr int {_counts(states=states, parameters=parameters)};",
        f"    static constexpr int {_counts(signals=signals, residuals=backward.residuals)};",
        f"    static constexpr int hidden = {signals.index('h')};",
        f"    static constexpr int state_signal[] = {_initialiser(map(signals.index, states))};",
        f"    static constexpr int residual_drive[] = {_initialiser(map(drives.index, backward.residuals))};",
        "",
        *_forward(tape, labels),
        "",
        *_backward(backward, labels),
        "};",
        "",
    ]
    return "\n".join(lines)


def _counts(**things: Sequence[str]) -> str:
    """How many there are of each."""
    return ", ".join(f"{name} = {len(there)}" for name, there in things.items())


def _initialiser(numbers: Iterable[int]) -> str:
    """The initialiser of an array; C++ has no empty ones."""
    return f"{{{', '.join(map(str, numbers)) or '-1'}}}"


def _identifier(wanted: str, taken: Container[str]) -> str:
    """The name itself, or with as many underscores behind it as make it a new one."""
    while wanted in taken:
        wanted += "_"
    return wanted


def _forward(tape: Tape, labels: Labels) -> list[str]:
    nodes: list[Node] = []
    moved: list[int] = []  # where the value of each line of the tape is found, changed where it is a signal
    for index, node in enumerate(tape.nodes):
        nodes.append(Node(node.kind, tuple(moved[k] for k in node.arguments), node.label))
        if index in tape.stops:
            nodes.append(Node("change", (len(nodes) - 1,), tape.stops[index]))
        moved.append(len(nodes) - 1)
    results = {"signal": {name: moved[index] for name, index in tape.signals.items()}}
    body = _Body(nodes, labels, {kind: (kind, labels[kind]) for kind in ("drive", "state", "parameter")}, results)
    return body.function("forward", [("drive", "state", "parameter")], ("signal",))


def _backward(backward: Reverse, labels: Labels) -> list[str]:
    places = {kind: (kind, labels[kind]) for kind in ("signal", "state", "parameter")}
    places |= {"drive": ("residual", backward.residuals), "gradient": ("gradient", labels["signal"])}
    results = {"d_drive": backward.drives, "d_state": backward.states, "d_parameter": backward.parameters}
    body = _Body(backward.nodes, labels, places, results)
    return body.function("backward", [("signal", "state", "parameter"), ("residual", "gradient")], tuple(results))


class _Body:
    """The statements of one function: a variable for all that is read, named, used twice or a result.

    Results are stored when everything has been computed, so that they may take the place of what is read.

    Args:
        nodes: what is computed, in this order, as far as a result needs it.
        labels: the names of each kind of quantity, in the order in which they are numbered.
        places: kind of leaf -> the array it is read from, and the order there.
        results: array -> label -> node. What has no node there is stored as 0.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        labels: Labels,
        places: Mapping[str, tuple[str, tuple[str, ...]]],
        results: Mapping[str, Mapping[str, int]],
    ) -> None:
        self._nodes, self._labels, self._places = nodes, labels, places
        self._taken = set(TAKEN)
        self._arrays: set[str] = set()  # those that are read or written
        self._unnamed = count()
        self._uses = Counter(index for values in results.values() for index in values.values())
        for index in reversed(range(len(nodes))):
            if self._uses[index]:
                self._uses.update(nodes[index].arguments)
        self._wanted = {
            index: f"{'d_' if array.startswith('d_') else ''}{self._leaf_name(array.removeprefix('d_'), label)}"
            for array, values in results.items()
            for label, index in values.items()
        }
        self._printed: dict[int, tuple[str, int]] = {}  # what stands for a line where it is used, and how it binds
        self._lines: list[str] = []
        for index, node in enumerate(nodes):
            if self._uses[index]:
                self._printed[index] = self._line(index, node)
        for array, values in results.items():
            for place, label in enumerate(labels[array.removeprefix("d_")]):
                value = self._printed[values[label]][0] if label in values else "constant<V>(0.0)"
                self._lines.append(f"{self._array(array)}[{place}] = {value};")

    def function(self, name: str, reads: Sequence[Sequence[str]], writes: Sequence[str]) -> list[str]:
        """The whole function; an argument that it does not use has its name in a comment."""
        start = f"    static inline void {name}("
        shown = {array: array if array in self._arrays else f"/*{array}*/" for array in (*chain(*reads), *writes)}
        rows = [", ".join(f"const V* {shown[array]}" for array in row) for row in reads]
        rows += [", ".join([*(f"V* {shown[array]}" for array in writes), "const Change& change"])]
        signature = f",\n{' ' * len(start)}".join(rows)
        body = [f"        {line}" for line in self._lines]
        return ["    template <class V, class Change>", f"{start}{signature}) {{", *body, "    }"]

    def _array(self, name: str) -> str:
        self._arrays.add(name)
        return name

    def _line(self, index: int, node: Node) -> tuple[str, int]:
        if node.kind == "constant":
            return f"constant<V>({float(node.label)!r})", ATOM
        if node.kind in self._places:
            array, order = self._places[node.kind]
            read = f"{self._array(array)}[{order.index(str(node.label))}]"
            return (read, ATOM) if array == "gradient" else self._variable(self._leaf_name(node.kind, node.label), read)
        if node.kind in ROWS:
            value, binding = self._operation(node)
            if self._uses[index] == 1 and index not in self._wanted:
                return value, binding
            return self._variable(self._wanted.get(index) or f"t{next(self._unnamed)}", value)
        number = self._labels["signal"].index(str(node.label))
        if node.kind == "before":
            value = f"change.before({number}, {self._array('signal')}[{number}])"
            return self._variable(f"before_{node.label}", value)
        (inner,) = node.arguments
        if node.kind == "change":
            return self._variable(str(node.label), f"change({number}, {self._printed[inner][0]})")
        return self._variable(f"d_{node.label}", f"change.back({number}, {self._printed[inner][0]})")

    def _operation(self, node: Node) -> tuple[str, int]:
        """An operation as C++ writes it, with parentheses that keep the order of computation: a + (b + c)."""
        row = ROWS[node.kind]
        printed = []
        for position, argument in enumerate(node.arguments):
            inner, binding = self._printed[argument]
            loose = row.needs and binding < max(row.needs[position], row.binding + position)
            printed.append(f"({inner})" if loose else inner)
        return row.cpp.format(*printed), row.binding

    def _variable(self, wanted: str, value: str) -> tuple[str, int]:
        """Declares a variable, and gives its name."""
        name = _identifier(wanted, self._taken)
        self._taken.add(name)
        self._lines.append(f"const V {name} = {value};")
        return name, ATOM

    @staticmethod
    def _leaf_name(kind: str, label: str | float) -> str:
        """x.i -> x_i, u.i -> u_i, their sum -> xu_i, s.c -> s_c, p.i -> p_i; a signal is called what it is called."""
        if kind == "drive":
            return str(label).replace(".", "_") if "." in str(label) else f"xu_{label}"
        return {"state": "s_", "parameter": "p_", "signal": ""}[kind] + str(label)
