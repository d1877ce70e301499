"""The order of a layer's drives, with x.k + u.k joined into one drive where only their sum is used.

This module alone decides the order: the C++ structs (`cpp.source`) and the native engine number the drives by it.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from gatescope.equations.tape import Node, Tape


@dataclass(frozen=True)
class DriveOrder:
    """The drives of a tape in three groups, numbered in this order.

    Attributes:
        tape: the equations, where x.k + u.k of a joined drive is one leaf "k".
        input_alone: names k of x.k = W.k · input + b.k that are not joined.
        joined: names k of x.k + u.k, in the order of the recurrent drives.
        recurrent_alone: names k of u.k = U.k · h that are not joined.
    """

    tape: Tape
    input_alone: tuple[str, ...]
    joined: tuple[str, ...]
    recurrent_alone: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all drives on the tape: "x.k", "k" or "u.k"."""
        return (*(f"x.{k}" for k in self.input_alone), *self.joined, *(f"u.{k}" for k in self.recurrent_alone))

    def input_indices(self, tape: Tape) -> list[int]:
        """Return, for each drive, the index of W.k and b.k among the original tape's input drives; -1 for none."""
        names = (*self.input_alone, *self.joined)
        return [*(tape.input_drives.index(k) for k in names), *(-1 for _ in self.recurrent_alone)]

    def recurrent_indices(self, tape: Tape) -> list[int]:
        """Return, for each drive, the index of U.k among the original tape's recurrent drives; -1 for none."""
        names = (*self.joined, *self.recurrent_alone)
        return [*(-1 for _ in self.input_alone), *(tape.recurrent_drives.index(k) for k in names)]


def drive_order(tape: Tape, apart: Collection[str] = ()) -> DriveOrder:
    """Join x.k and u.k into one drive "k" wherever their sum is the only use of both, and order the drives.

    An engine can then add the recurrent product to a joined drive while it multiplies, instead of afterwards.

    Args:
        tape: the equations.
        apart: drives ("x.k", "u.k") that must not be joined.

    Returns:
        The rewritten tape and the groups of its drives.
    """
    uses = Counter(argument for node in tape.nodes for argument in node.arguments)
    uses.update(tape.signals.values())
    index_of = {node.label: index for index, node in enumerate(tape.nodes) if node.kind == "drive"}
    sums: dict[int, str] = {}  # line of x.k + u.k -> k
    for name in tape.recurrent_drives:
        pair = {f"x.{name}", f"u.{name}"}
        leaves = {index_of[label] for label in pair if label in index_of}
        if len(leaves) == 2 and not pair & set(apart) and all(uses[index] == 1 for index in leaves):
            for index, node in enumerate(tape.nodes):
                if node.kind == "add" and set(node.arguments) == leaves:
                    sums[index] = name
    joined = tuple(sums.values())
    return DriveOrder(
        _with_sums_as_leaves(tape, sums),
        tuple(k for k in tape.input_drives if k not in joined),
        joined,
        tuple(k for k in tape.recurrent_drives if k not in joined),
    )


def _with_sums_as_leaves(tape: Tape, sums: dict[int, str]) -> Tape:
    """Return the tape with the given lines as drives, without the lines that nothing uses any more."""
    nodes = [Node("drive", (), sums[index]) if index in sums else node for index, node in enumerate(tape.nodes)]
    used = {argument for node in nodes for argument in node.arguments} | set(tape.signals.values())
    new_index = {old: new for new, old in enumerate(index for index in range(len(nodes)) if index in used)}
    lines = (Node(nodes[k].kind, tuple(new_index[j] for j in nodes[k].arguments), nodes[k].label) for k in new_index)
    return Tape(tuple(lines), {name: new_index[index] for name, index in tape.signals.items()})
