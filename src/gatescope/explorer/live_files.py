"""Live files of the page: what would leave this machine, and the file itself, with the text and the view in sight."""

from __future__ import annotations

from typing import Any

from gatescope.explorer.live import LiveOptions, LiveRun, live_run
from gatescope.explorer.live.disclosure import Disclosure
from gatescope.explorer.live.live_data import check_size
from gatescope.explorer.live.page_file import live_page
from gatescope.explorer.live.program import program
from gatescope.explorer.requests import CHECKPOINT, Field, parse_request
from gatescope.runs import Run

FIELDS = {
    "text": Field(str, default=None, nullable=True),
    "address": Field(str, default=""),
    "checkpoint": CHECKPOINT,
    "disclose": Field(bool, default=False),
}


def live_file(run: Run, data: Any) -> bytes | dict[str, Any]:
    """Return a live file of a run; or, with "disclose", what it would hold.

    Args:
        run: the run; it is not changed.
        data: the JSON of the request: the text in sight (null for the first example), the address of the view, and the
            training step of the weights in sight.

    Raises:
        GatescopeError: the request is wrong, or the run is too large for a file.
    """
    request = parse_request("live", data, FIELDS)
    text, checkpoint = request["text"], request["checkpoint"]
    texts = [] if text is None else [text]
    live = live_run(run, LiveOptions(), texts=texts, checkpoints=[] if checkpoint is None else [checkpoint])
    if request["disclose"]:
        return Disclosure.of(live).to_json() | {"text": len(text or "")}
    return page_of(live, {"address": request["address"], "text": text})


def page_of(live: LiveRun, start: dict[str, Any]) -> bytes:
    """Return the HTML of a live file that opens with a view.

    Args:
        live: the run.
        start: the address of the view, and its text if the address does not hold it.
    """
    content = live.container(start).to_bytes()
    check_size(live, content)
    return live_page(live.data["run"]["name"], content, program())
