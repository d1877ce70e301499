"""The figure that a notebook shows at the end of a cell. Only `new_figure` imports it: Matplotlib is an extra."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

POINTS_OF_INCH = 100  # on the screen


class ShownFigure(Figure):
    """A figure of Matplotlib that Jupyter shows by itself; a plain one is shown only where pyplot was imported."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the PNG and its size on the screen, for IPython."""
        png = BytesIO()
        self.savefig(png, format="png")
        width, height = (round(POINTS_OF_INCH * inches) for inches in self.get_size_inches())
        return png.getvalue(), {"width": width, "height": height}
