"""The notebook widget: strips and panel of a network below a cell, computed in the browser.

The widget is a live file in a frame. A notebook that is saved with its widgets therefore answers without a kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gatescope.adopting.adopt import write_run
from gatescope.errors import GatescopeError
from gatescope.explorer.live.container import LiveFileError
from gatescope.explorer.live.live_data import LiveOptions, check_size, live_run
from gatescope.explorer.live.page_file import live_page
from gatescope.explorer.live.program import STATIC, WIDGET, program
from gatescope.network import Network
from gatescope.runs import Run
from gatescope.tasks import Adopted
from gatescope.trace import MissingPackageError

if TYPE_CHECKING:
    from gatescope.explorer.notebook.widget import ExplorerWidget

HOST = "notebook"
NETWORK_NAME = "network"  # of a network that belongs to no run
HEIGHT_PIXELS = 640


class WidgetError(GatescopeError):
    """A widget that cannot be made, or a view that it cannot show; the message names what was expected."""


def explore(
    run_or_network: Run | Network | str | PathLike[str],
    text: str | None = None,
    *,
    options: LiveOptions | None = None,
    height: int = HEIGHT_PIXELS,
) -> ExplorerWidget:
    """Show a network on a text as a notebook widget: strips, predictions and panel, with every neuron at every step.

    Args:
        run_or_network: a run, its directory, or a network.
        text: the text; None: the first example of the run, or the symbols of a network.
        options: what the widget, and with it the saved notebook, holds of the run.
        height: the largest height of the widget, in pixels; higher content scrolls inside of it.

    Returns:
        The widget. Its `text`, `neuron`, `steps` and `holds` follow the page, and the page follows them.

    Raises:
        WidgetError: the first argument is neither a run nor a network.
        GatescopeError: the run cannot be read, has no weights, or is too large.
        TaskError: the network reads no symbol of the text.
        MissingPackageError: anywidget is not installed.
    """
    try:
        import_module("anywidget")  # an extra
    except ImportError as error:
        raise MissingPackageError("WIDGET_ANYWIDGET_MISSING") from error
    # The class of the widget inherits from one of the extra.
    from gatescope.explorer.notebook.widget import ExplorerWidget  # noqa: PLC0415

    with _run_of(run_or_network, text) as run:
        live = live_run(run, options or LiveOptions(), texts=[] if text is None else [text])
        configuration = run.configuration()
    content = live.container().to_bytes()
    check_size(live, content)
    name, examples = live.data["run"]["name"], live.data["run"]["examples"]
    return ExplorerWidget(
        configuration,
        module=_module(),
        document=live_page(name, content, program(), HOST).decode("utf-8"),
        title=f"{name} · gatescope",
        height=height,
        text=text if text is not None else next(iter(examples), None),
    )


@contextmanager
def _run_of(run_or_network: Run | Network | str | PathLike[str], text: str | None) -> Iterator[Run]:
    """Yield a run; for a network, one that ends with the block."""
    if isinstance(run_or_network, Run):
        yield run_or_network
    elif isinstance(run_or_network, str | PathLike):
        yield Run(run_or_network)
    elif isinstance(run_or_network, Network):
        configuration = run_or_network.configuration
        task = Adopted(configuration.vocabulary, NETWORK_NAME, text or "", (), configuration.readout)
        with TemporaryDirectory() as folder:
            yield write_run(Path(folder) / NETWORK_NAME, run_or_network, task)
    else:
        raise WidgetError("WIDGET_SOURCE_TYPE", type=type(run_or_network).__name__)


def _module() -> str:
    """Return the script of the widget.

    Raises:
        LiveFileError: the page was not built.
    """
    try:
        return (STATIC / WIDGET).read_text(encoding="utf-8")
    except OSError as error:
        raise LiveFileError("LIVE_PROGRAM_MISSING", file=error.filename) from error
