"""The simple recurrent network with rectified linear units."""

from gatescope.cells.cell import define
from gatescope.equations import relu


@define(
    title="Elman (ReLU)",
    paper="Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks of rectified linear units",
    titles=dict(h="hidden state"),
    note="Recurrent weights start as an orthogonal matrix, like every cell's here, not as the paper's identity.",
)
def elman_relu(x, u, p, s):
    return dict(h=relu(x.h + u.h))
