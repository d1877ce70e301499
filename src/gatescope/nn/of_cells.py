"""Modules for any cell, with the arguments and the behaviour of torch.nn.

`I` inputs, `N` neurons; `G`, `R` and `P` are the cell's input drives, recurrent drives and parameters.
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
from gatescope.nn.direction import Direction
from gatescope.nn.drop_in import check_engine
from gatescope.nn.stack import Stack

NAMES = {"lstm_1997": "LSTM1997"}  # other names are derived from the titles of the cells
IN_TORCH = ("elman", "elman_relu", "lstm", "gru")


class Recurrent(Stack, nn.Module):
    """A stack of layers of one cell; `from_cell` returns such a class.

    Weights are named as in torch and stacked in the order of the cell's drives: `weight_ih_l0` (G·N, I), `weight_hh_l0`
    (R·N, N), `bias_ih_l0` (G·N), `weight_p_l0` (P·N), and the same with `_reverse` for a backward direction. Each input
    drive has one bias. Empty weights are left out, except `weight_ih`.

    Args:
        input_size: the number of inputs at each step.
        hidden_size: the number of neurons of a layer.
        num_layers: the number of layers.
        bias: whether the input drives have biases.
        batch_first: whether inputs and outputs are (B, T, I) instead of (T, B, I).
        dropout: the probability of dropping a value between two layers while training.
        bidirectional: whether every layer also reads from the last step to the first.
        device: the device of the weights.
        dtype: the dtype of the weights.
        engine: "auto", "native" or "plain". Only the plain engine has second derivatives.

    Raises:
        ValueError: as torch.nn.GRU.
        TypeError: as torch.nn.GRU.
        EngineError: there is no such engine.
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
        # Torch checks the arguments, by the rules of its version. A module on "meta" takes no memory.
        checked = nn.GRU(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device="meta")
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, checked.dropout
        self.bidirectional, self.engine = bidirectional, check_engine(engine)
        tape = self.cell.tape
        self._names: list[list[str]] = []
        for layer in range(num_layers):
            inputs = input_size if not layer else hidden_size * (2 if bidirectional else 1)
            sizes = {
                "weight_ih": (len(tape.input_drives) * hidden_size, inputs),
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
        """Draw every weight uniformly between -1/√N and 1/√N, as torch.nn does."""
        bound = self.hidden_size**-0.5
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights of each direction of each layer."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def direction(self, layer: int, reverse: bool) -> Direction:
        """Return the weights of one direction of one layer in the engine's layout."""
        end = f"_l{layer}_reverse" if reverse else f"_l{layer}"
        tape, neurons = self.cell.tape, self.hidden_size
        input_weights = getattr(self, f"weight_ih{end}")
        sizes = {
            "weight_ih": (len(tape.input_drives), neurons, input_weights.shape[1]),
            "bias_ih": (len(tape.input_drives), neurons),
            "weight_hh": (len(tape.recurrent_drives), neurons, neurons),
            "weight_p": (len(tape.parameters), neurons),
        }
        weights = [
            getattr(self, name).reshape(size) if hasattr(self, name) else input_weights.new_zeros(size)
            for name, size in ((f"{kind}{end}", size) for kind, size in sizes.items())
        ]
        return Direction(layer, reverse, Parameters(*weights))

    def extra_repr(self) -> str:
        """Return the sizes and all settings that are not the default, in the format of torch.nn."""
        defaults = dict(num_layers=1, bias=True, batch_first=False, dropout=0, bidirectional=False)
        others = [f"{name}={getattr(self, name)}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join([str(self.input_size), str(self.hidden_size), *others])

    def __reduce_ex__(self, protocol: Any) -> Any:
        # The class is created from the cell, so the cell is stored instead of the class.
        return _restored, (json.dumps(self.cell.to_json()),), self.__getstate__()


def from_cell(cell: Cell) -> type[Recurrent]:
    """Return the module class of a cell; its arguments are those of torch.nn.GRU.

    Equal cells have the same class. Each input drive has one bias, also in the cells of torch.nn; only RNN, LSTM and
    GRU have two as in torch.

    Args:
        cell: a built-in cell or one of your own.

    Raises:
        EquationError: the cell is not valid.
    """
    return _class_of(json.dumps(cell.to_json()))


@cache
def _class_of(text: str) -> type[Recurrent]:
    cell = Cell.from_json(json.loads(text))
    docstring = (
        f"{cell.title}{f' ({cell.paper})' if cell.paper else ''} as a module; its arguments are those of torch.nn.GRU."
    )
    name = class_name(cell)
    return type(
        name, (Recurrent,), {"cell": cell, "__doc__": docstring, "__module__": "gatescope.nn", "__qualname__": name}
    )


def _restored(text: str) -> Recurrent:
    kind = _class_of(text)
    return kind.__new__(kind)


def class_name(cell: Cell) -> str:
    """Return the name of a cell's module: the words of its title, each capitalised."""
    words = re.findall(r"\w+", cell.title.replace("_", " "))
    name = NAMES.get(cell.name) or "".join(word[0].upper() + word[1:] for word in words)
    return name if name.isidentifier() else "Recurrent"


BUILT_IN: dict[str, type[Recurrent]] = {
    class_name(cell): from_cell(cell) for cell in CELLS.values() if cell.name not in IN_TORCH
}
