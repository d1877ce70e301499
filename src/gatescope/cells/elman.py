"""The simple recurrent network: one hidden state, which feeds back."""

from gatescope.cells.cell import define
from gatescope.equations import tanh


@define(
    title="Elman (tanh)",
    paper="Elman 1990, Finding structure in time",
    titles=dict(h="hidden state"),
    note="tanh as in today's libraries (torch.nn.RNN); Elman's own units were logistic, which is elman_sigmoid.",
)
def elman(x, u, p, s):
    return dict(h=tanh(x.h + u.h))
