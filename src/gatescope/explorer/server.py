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
from gatescope.explorer.app import make_app
from gatescope.explorer.gallery import Gallery

ADDRESS = "127.0.0.1"


class ExplorerError(GatescopeError):
    """The explorer cannot be started; the message says why and what to do."""


def serve(
    places: Sequence[Path],
    *,
    port: int = 8791,
    open_browser: bool = True,
    announce: Callable[[str], None] = print,
    stop: threading.Event | None = None,
) -> None:
    """Serve the explorer on 127.0.0.1 until the process is interrupted or `stop` is set.

    Args:
        places: run directories, and directories of runs; runs that appear later are seen.
        port: where to listen; 0 for any free port.
        open_browser: whether to open the page in the user's browser.
        announce: called with the address once the server listens.
        stop: set from another thread to end it.

    Raises:
        ExplorerError: a place does not exist, or the port cannot be used.
    """
    for place in places:
        if not place.is_dir():
            raise ExplorerError("SERVER_DIRECTORY_RUN_DIRECTORY_RUNS", place=place)
    # One thread: a second one gains nothing on single texts, and a training on this machine needs it.
    torch.set_num_threads(1)
    listening = _listen(port)
    port = listening.getsockname()[1]
    config = uvicorn.Config(
        make_app(Gallery(list(places)), port),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    if stop is not None:
        threading.Thread(target=_stop_when, args=(stop, server), daemon=True).start()
    address = f"http://{ADDRESS}:{port}/"
    announce(address)
    if open_browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    with listening:
        server.run(sockets=[listening])


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ExplorerError("SERVER_PORT_EXIST_PORTS_GO", port=port)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Restarting at once must not fail. On Windows the same option would let two servers listen on one port.
    listening.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR), 1)
    try:
        listening.bind((ADDRESS, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise ExplorerError("SERVER_PORT_USE_ANOTHER_PORT", port=port) from error
        raise ExplorerError("SERVER_PORT_USED_ANOTHER_PORT", port=port, strerror=error.strerror) from error
    return listening


def _stop_when(stop: threading.Event, server: uvicorn.Server) -> None:
    stop.wait()
    server.should_exit = True
