"""A layer without memory: the baseline that shows what recurrence adds."""

from gatescope.cells.cell import define
from gatescope.equations import tanh


@define(
    title="Feed-forward",
    paper="Rumelhart, Hinton and Williams 1986, Learning representations by back-propagating errors",
    titles=dict(h="hidden state"),
    note="Each step sees only its own input.",
)
def feedforward(x, u, p, s):
    return dict(h=tanh(x.h))
