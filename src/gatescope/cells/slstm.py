"""The scalar cell of xLSTM: exponential gates, kept in range by a normaliser and a stabiliser."""

from gatescope.cells.cell import define
from gatescope.equations import exp, log_sigmoid, maximum, sigmoid, tanh


@define(
    title="sLSTM",
    paper="Beck et al. 2024, xLSTM: extended long short-term memory (equations 8 to 17)",
    titles=dict(
        g="candidate",
        o="output gate",
        m="stabiliser",
        i="input gate (stabilised)",
        f="forget gate (stabilised)",
        c="cell state (stabilised)",
        n="normaliser (stabilised)",
        h="hidden state",
    ),
    biases=dict(f=1.0),
    note="The forget gate is a sigmoid, the input gate an exponential; both are divided by the same exp(m), which "
    "cancels in c / n. One head: every neuron reads every other. The forget gate starts open (bias 1).",
)
def slstm(x, u, p, s):
    g = tanh(x.g + u.g)
    o = sigmoid(x.o + u.o)
    log_i = x.i + u.i
    log_f = log_sigmoid(x.f + u.f)
    m = maximum(log_f + s.m, log_i)
    i = exp(log_i - m)
    f = exp(log_f + s.m - m)
    c = f * s.c + i * g
    n = f * s.n + i
    h = o * (c / n)
    return dict(g=g, o=o, m=m, i=i, f=f, c=c, n=n, h=h)
