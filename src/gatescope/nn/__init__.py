"""Recurrent modules with the signatures of torch.nn, run by gatescope's engines; see docs/nn.md.

`RNN`, `LSTM` and `GRU` replace the ones of torch. Every other cell has a module with the same arguments
(`PeepholeLSTM`, `CoupledLSTM`, `LSTM1997`, `MinGRU`, `SLSTM`, ...), and `from_cell` returns a module for a cell of your
own.
"""

from gatescope.nn.drop_in import GRU, LSTM, RNN
from gatescope.nn.of_cells import BUILT_IN, Recurrent, from_cell

__all__ = ["BUILT_IN", "GRU", "LSTM", "RNN", "Recurrent", "from_cell"]


def __getattr__(name: str) -> type[Recurrent]:
    if name not in BUILT_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return BUILT_IN[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *BUILT_IN})
