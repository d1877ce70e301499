"""Starting and stopping the local server."""

from __future__ import annotations

import errno
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import uvicorn

from gatescope.errors import GatescopeError
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.routes import make_app

ADDRESS = "127.0.0.1"


class ExplorerError(GatescopeError):
    """The explorer cannot be started."""


def serve(
    places: Sequence[Path],
    *,
    port: int = 8791,
    open_browser: bool = True,
    announce: Callable[[str], None] = print,
    stop: threading.Event | None = None,
    copies: Path | None = None,
) -> None:
    """Serve the explorer on 127.0.0.1 until the process is interrupted or `stop` is set.

    Args:
        places: run directories and folders of runs. Runs that appear later are served too.
        port: the port; 0 for any free port.
        open_browser: whether to open the page in the browser.
        announce: called with the address once the server listens.
        stop: an event that ends the server.
        copies: a folder of runs that end with the explorer, such as those of a live file; nothing is written in it.

    Raises:
        ExplorerError: a place is not a folder, or the port cannot be used.
    """
    for place in places:
        if not place.is_dir():
            raise ExplorerError("EXPLORER_PLACE_MISSING", place=place)
    # A second thread gains nothing on single texts, and a training on this computer may need it.
    torch.set_num_threads(1)
    listener = _listen(port)
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        make_app(Gallery(list(places), copies), port),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    if stop is not None:
        threading.Thread(target=_stop_after, args=(stop, server), daemon=True).start()
    address = f"http://{ADDRESS}:{port}/"
    announce(address)
    if open_browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    with listener:
        server.run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    """Return a socket that listens on a port of this computer.

    Raises:
        ExplorerError: the port cannot be used.
    """
    if not 0 <= port <= 65535:
        raise ExplorerError("EXPLORER_PORT_IMPOSSIBLE", port=port)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # An immediate restart must not fail. On Windows, the same option would let two servers share a port.
    listener.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR), 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ExplorerError("EXPLORER_PORT_IN_USE", port=port) from error
        raise ExplorerError("EXPLORER_PORT_UNUSABLE", port=port, reason=error.strerror) from error
    return listener


def _stop_after(stop: threading.Event, server: uvicorn.Server) -> None:
    """Wait for the event, and end the server."""
    stop.wait()
    server.should_exit = True
