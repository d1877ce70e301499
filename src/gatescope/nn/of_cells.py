"""A module for any cell, with the arguments and the behaviour of torch.nn's.

`I` input, `N` neuron, `G`, `R` and `P` the cell's input drives, recurrent drives and parameters.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gatescope.cells import CELLS, Cell
from gatescope.engine import Parameters
from gatescope.nn.drop_in import checked_engine
from gatescope.nn.stack import Direction, Stack

NAMES = {"lstm_1997": "LSTM1997"}  # the others are made of the cells' titles
IN_TORCH = ("elman", "elman_relu", "lstm", "gru")


class Recurrent(Stack, nn.Module):
    """Layers of one cell; `from_cell` makes the class.

    Weights are named as torch's and stacked in the order of the cell's drives: `weight_ih_l0` (G·N, I), `weight_hh_l0`
    (R·N, N), `bias_ih_l0` (G·N), `weight_p_l0` (P·N), and the same with `_reverse` for a backward direction. A drive
    has one bias. What a cell has none of is left out, `weight_ih` excepted.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: those of
            torch.nn.GRU. Without `bias` the drives have none.
        engine: "auto", "native" or "plain"; the plain one has second derivatives.

    Raises:
        ValueError, TypeError: as torch.nn.GRU would.
    """

    cell: ClassVar[Cell]  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        input_size: Any,
        hidden_size: Any,
        num_layers: Any = 1,
        bias: Any = True,
        batch_first: Any = False,
        dropout: Any = 0.0,
        bidirectional: Any = False,
        device: Any = None,
        dtype: Any = None,
        *,
        engine: str = "auto",
    ) -> None:
        # What may be given is torch's to say, also where its rules change. A module on "meta" takes no memory.
        model = nn.GRU(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device="meta")
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, model.dropout
        self.bidirectional, self.engine = bidirectional, checked_engine(engine)
        tape = self.cell.tape
        self._names: list[list[str]] = []
        for layer in range(num_layers):
            heard = input_size if not layer else hidden_size * (2 if bidirectional else 1)
            sizes = {
                "weight_ih": (len(tape.input_drives) * hidden_size, heard),
                "weight_hh": (len(tape.recurrent_drives) * hidden_size, hidden_size),
                "bias_ih": (len(tape.input_drives) * hidden_size * bias,),
                "weight_p": (len(tape.parameters) * hidden_size,),
            }
            for end in ("", "_reverse") if bidirectional else ("",):
                names = {
                    f"{kind}_l{layer}{end}": size for kind, size in sizes.items() if size[0] or kind == "weight_ih"
                }
                for name, size in names.items():
                    setattr(self, name, nn.Parameter(torch.empty(size, device=device, dtype=dtype)))
                self._names.append(list(names))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Give every weight new values, uniform between -1/√N and 1/√N, as torch.nn does."""
        bound = self.hidden_size**-0.5
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights of each direction of each layer."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def direction(self, layer: int, reverse: bool) -> Direction:
        """The weights of one direction of one layer as the engine takes them."""
        end = f"_l{layer}_reverse" if reverse else f"_l{layer}"
        tape, neurons = self.cell.tape, self.hidden_size
        heard = getattr(self, f"weight_ih{end}")
        sizes = {
            "weight_ih": (len(tape.input_drives), neurons, heard.shape[1]),
            "bias_ih": (len(tape.input_drives), neurons),
            "weight_hh": (len(tape.recurrent_drives), neurons, neurons),
            "weight_p": (len(tape.parameters), neurons),
        }
        found = [
            getattr(self, f"{kind}{end}").reshape(size) if hasattr(self, f"{kind}{end}") else heard.new_zeros(size)
            for kind, size in sizes.items()
        ]
        return Direction(layer, reverse, Parameters(*found))

    def extra_repr(self) -> str:
        """As torch.nn's modules print themselves: the sizes, and what is not the default."""
        defaults = dict(num_layers=1, bias=True, batch_first=False, dropout=0, bidirectional=False)
        others = [f"{name}={getattr(self, name)}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join([str(self.input_size), str(self.hidden_size), *others])

    def __reduce_ex__(self, protocol: Any) -> Any:
        # The class is made of the cell, so the cell is what is kept.
        return _remake, (json.dumps(self.cell.to_json()),), self.__getstate__()


def from_cell(cell: Cell) -> type[Recurrent]:
    """The class of modules that run a cell, with the arguments of torch.nn.GRU; the same class for the same cell.

    It has one bias for each drive, also for the cells of torch.nn; torch's two are in RNN, LSTM and GRU.
    """
    return _class_of(json.dumps(cell.to_json()))


@cache
def _class_of(text: str) -> type[Recurrent]:
    cell = Cell.from_json(json.loads(text))
    about = (
        f"{cell.title}{f' ({cell.paper})' if cell.paper else ''} as a module; its arguments are those of torch.nn.GRU."
    )
    name = class_name(cell)
    return type(
        name, (Recurrent,), {"cell": cell, "__doc__": about, "__module__": "gatescope.nn", "__qualname__": name}
    )


def _remake(text: str) -> Recurrent:
    made = _class_of(text)
    return made.__new__(made)


def class_name(cell: Cell) -> str:
    """The name of a cell's module: the words of its title, each with a capital."""
    words = re.findall(r"\w+", cell.title.replace("_", " "))
    name = NAMES.get(cell.name) or "".join(word[0].upper() + word[1:] for word in words)
    return name if name.isidentifier() else "Recurrent"


BUILT_IN: dict[str, type[Recurrent]] = {
    class_name(cell): from_cell(cell) for cell in CELLS.values() if cell.name not in IN_TORCH
}
