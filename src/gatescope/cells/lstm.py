"""The LSTM: a cell state that is written, erased and read through gates."""

from gatescope.cells.cell import define
from gatescope.equations import sigmoid, tanh


@define(
    title="LSTM",
    paper="Gers, Schmidhuber and Cummins 2000, Learning to forget: continual prediction with LSTM",
    titles=dict(i="input gate", f="forget gate", g="candidate", o="output gate", c="cell state", h="hidden state"),
    biases=dict(f=1.0),
    note="The forget gate starts open (bias 1), as Jozefowicz, Zaremba and Sutskever 2015 recommend.",
)
def lstm(x, u, p, s):
    i = sigmoid(x.i + u.i)
    f = sigmoid(x.f + u.f)
    g = tanh(x.g + u.g)
    o = sigmoid(x.o + u.o)
    c = f * s.c + i * g
    h = o * tanh(c)
    return dict(i=i, f=f, g=g, o=o, c=c, h=h)
