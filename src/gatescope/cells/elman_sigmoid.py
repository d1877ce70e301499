"""The simple recurrent network with logistic units, as in Elman's paper."""

from gatescope.cells.cell import define
from gatescope.equations import sigmoid


@define(
    title="Elman (sigmoid)",
    paper="Elman 1990, Finding structure in time",
    titles=dict(h="hidden state"),
)
def elman_sigmoid(x, u, p, s):
    return dict(h=sigmoid(x.h + u.h))
