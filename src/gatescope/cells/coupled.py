"""The LSTM that writes as much as it forgets: the input gate is 1 minus the forget gate."""

from gatescope.cells.cell import define
from gatescope.equations import sigmoid, tanh


@define(
    title="Coupled LSTM",
    paper="Greff, Srivastava, Koutník, Steunebrink and Schmidhuber 2017, LSTM: a search space odyssey (variant CIFG)",
    titles=dict(i="input gate", f="forget gate", g="candidate", o="output gate", c="cell state", h="hidden state"),
    biases=dict(f=1.0),
    note="The input gate is 1 minus the forget gate, which starts open (bias 1).",
)
def coupled(x, u, p, s):
    f = sigmoid(x.f + u.f)
    i = 1 - f
    g = tanh(x.g + u.g)
    o = sigmoid(x.o + u.o)
    c = f * s.c + i * g
    h = o * tanh(c)
    return dict(f=f, i=i, g=g, o=o, c=c, h=h)
