"""The first published LSTM: it writes and reads its cell state but cannot forget."""

from gatescope.cells.cell import define
from gatescope.equations import sigmoid, tanh


@define(
    title="LSTM of 1997 (no forget gate)",
    paper="Hochreiter and Schmidhuber 1997, Long short-term memory",
    titles=dict(i="input gate", g="candidate", o="output gate", c="cell state", h="hidden state"),
    note="The paper squashes the candidate with 4σ(z) - 2 = 2 tanh(z / 2) and the cell with 2σ(c) - 1 = tanh(c / 2); "
    "tanh is used for both here, as in Greff et al. 2017 (variant NFG), so that the forget gate is the only difference "
    "to the LSTM. Gradients are not truncated.",
)
def lstm_1997(x, u, p, s):
    i = sigmoid(x.i + u.i)
    g = tanh(x.g + u.g)
    o = sigmoid(x.o + u.o)
    c = s.c + i * g
    h = o * tanh(c)
    return dict(i=i, g=g, o=o, c=c, h=h)
