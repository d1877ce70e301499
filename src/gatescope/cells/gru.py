"""The gated recurrent unit, in the form of torch.nn.GRU and cuDNN."""

from gatescope.cells.cell import define
from gatescope.equations import sigmoid, tanh


@define(
    title="GRU",
    paper="Cho et al. 2014, Learning phrase representations using RNN encoder-decoder",
    titles=dict(r="reset gate", z="update gate", n="candidate", h="hidden state"),
    note="In torch's form the reset gate acts after the recurrent product, so that product has a bias of its own, p.n "
    "(torch's b_hn); the paper resets h before the product. z = 1 keeps the old state. All biases start at 0.",
)
def gru(x, u, p, s):
    r = sigmoid(x.r + u.r)
    z = sigmoid(x.z + u.z)
    n = tanh(x.n + r * (u.n + p.n))
    h = (1 - z) * n + z * s.h
    return dict(r=r, z=z, n=n, h=h)
