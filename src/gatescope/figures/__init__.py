"""Figures for papers and notebooks, drawn by Matplotlib without a browser: strips, gates of a neuron, gradient maps.

Each function returns a `matplotlib.figure.Figure`, which a notebook shows and `figure.savefig("name.svg")` writes as
SVG, PDF or PNG. The colours and scales are those of the explorer.
"""

from gatescope.figures.gates import gates
from gatescope.figures.reach import map  # noqa: A004  the name in `figures.map`
from gatescope.figures.strips import strips

__all__ = ["gates", "map", "strips"]
