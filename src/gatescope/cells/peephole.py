"""The LSTM whose gates read the cell state."""

from gatescope.cells.cell import define
from gatescope.equations import sigmoid, tanh


@define(
    title="Peephole LSTM",
    paper="Gers, Schraudolph and Schmidhuber 2002, Learning precise timing with LSTM recurrent networks",
    titles=dict(i="input gate", f="forget gate", g="candidate", o="output gate", c="cell state", h="hidden state"),
    biases=dict(f=1.0),
    note="The input and forget gates see the cell one step earlier, the output gate sees it now. The peephole weights "
    "p.k start at 0, where the cell is an LSTM; the forget gate starts open (bias 1).",
)
def peephole(x, u, p, s):
    i = sigmoid(x.i + u.i + p.i * s.c)
    f = sigmoid(x.f + u.f + p.f * s.c)
    g = tanh(x.g + u.g)
    c = f * s.c + i * g
    o = sigmoid(x.o + u.o + p.o * c)
    h = o * tanh(c)
    return dict(i=i, f=f, g=g, c=c, o=o, h=h)
