"""The minimal GRU: neither its gate nor its candidate reads the previous state."""

from gatescope.cells.cell import define
from gatescope.equations import sigmoid


@define(
    title="minGRU",
    paper="Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, Were RNNs all we needed?",
    titles=dict(z="update gate", n="candidate", h="hidden state"),
    note="Neither gate nor candidate sees the previous state, and the candidate is not squashed. z = 1 takes the "
    "candidate (the opposite of the GRU's z). The form of the paper's section 3.1, without its log-space variant.",
)
def mingru(x, u, p, s):
    z = sigmoid(x.z)
    n = x.n
    h = (1 - z) * s.h + z * n
    return dict(z=z, n=n, h=h)
