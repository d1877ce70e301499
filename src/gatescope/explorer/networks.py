"""The network of a run as files, for the engine in the browser: network.json, and the weights of any training step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatescope.explorer.costs import megabytes
from gatescope.explorer.memory import Memory, Reservation
from gatescope.explorer.recorder import file_stamp
from gatescope.explorer.requests import CHECKPOINT, RequestError, parse_request
from gatescope.messages import Message
from gatescope.runs import Run
from gatescope.runs.weights_file import weights_file

MAX_WEIGHTS_BYTES = 64 << 20  # of a file that the browser gets
COPIES_OF_FILE = 3  # while the weights are checked: the bytes of the file, its tensors, and a temporary one
FIELDS = {"checkpoint": CHECKPOINT}


@dataclass(frozen=True)
class Weights:
    """The answer to a request for weights.

    Attributes:
        tag: a text that changes with the file.
        body: the content of the file, and the memory that it holds; None if the browser has this file already.
    """

    tag: str
    body: tuple[bytes, Reservation] | None


def network_json(run: Run) -> dict[str, Any]:
    """Return network.json in the newest format.

    Raises:
        RunError: the file is missing or damaged.
    """
    return run.configuration().to_json()


def weights_of_run(memory: Memory, run: Run, query: Mapping[str, str], known: str | None) -> Weights:
    """Return the content of weights.safetensors, checked as for a network of Python.

    Args:
        memory: the memory of the server.
        run: the run.
        query: the fields of the request: `checkpoint`, the training step; without it, the best weights.
        known: the tag of the file that the browser has.

    Raises:
        RequestError: a field cannot be used, or the file is too large.
        RunError: the weights are missing or damaged, or do not fit the configuration.
    """
    # Decimal digits only: int() would also accept spaces, signs and underscores.
    values = {name: int(value) if value.isdecimal() and len(value) < 19 else value for name, value in query.items()}
    checkpoint = parse_request("weights", values, FIELDS)["checkpoint"]
    # The stamp is read before the file. If the file is replaced in between, the next request gets it once more.
    stamp = file_stamp(run.weights_path(checkpoint)[0])
    tag = f'"{stamp_text(stamp)}"'
    if stamp is not None and tag == known:
        return Weights(tag, None)
    size = 0 if stamp is None else stamp[1]
    too_large = Message("EXPLORER_WEIGHTS_TOO_LARGE", size=megabytes(size), limit=megabytes(MAX_WEIGHTS_BYTES))
    if size > MAX_WEIGHTS_BYTES:
        raise RequestError(too_large, status=413)
    reserved = memory.reserve(COPIES_OF_FILE * size, too_large)
    try:
        body = weights_file(run, checkpoint)
    except BaseException:
        reserved.release()
        raise
    reserved.shrink(len(body))
    return Weights(tag, (body, reserved))


def stamp_text(stamp: tuple[int, int] | None) -> str | None:
    """Return the stamp of a file as text; None if there is no file."""
    return None if stamp is None else "-".join(map(str, stamp))
