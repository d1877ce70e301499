"""The findings of every run as the page requests them, computed once for each state of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gatescope.explorer.findings.counting import counting
from gatescope.explorer.findings.failures import first_failure
from gatescope.explorer.findings.finding import Finding
from gatescope.explorer.findings.from_labels import labelled
from gatescope.explorer.findings.measured import RunReader
from gatescope.explorer.findings.mechanisms import forgetting, leaving_out
from gatescope.explorer.findings.quantities import carrying
from gatescope.explorer.findings.samples import sample
from gatescope.explorer.networks import stamp_text
from gatescope.explorer.recorder import Recorder, file_stamp, weights_stamp
from gatescope.explorer.tracks import Tracks
from gatescope.runs import HISTORY, STUDIES, Run

FINDERS: tuple[Callable[[RunReader], list[Finding]], ...] = (
    counting,
    carrying,
    leaving_out,
    forgetting,
    first_failure,
    labelled,
    sample,
)
"""Each returns the findings of one kind, the best first."""


class Findings:
    """Computes the findings of runs, and keeps them until a run changes."""

    def __init__(self, recorder: Recorder, tracks: Tracks) -> None:
        self._recorder, self._tracks = recorder, tracks
        self._answers: dict[Path, tuple[str, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def answer(self, run: Run) -> dict[str, Any]:
        """Return `{"findings": [...]}`, the findings of a run as JSON values.

        Raises:
            GatescopeError: the run cannot be read.
        """
        key, stamp = run.path.resolve(), findings_stamp(run)
        with self._lock:
            known = self._answers.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        answer = {"findings": [finding.to_json() for finding in findings_of(run, self._recorder, self._tracks)]}
        with self._lock:
            self._answers[key] = (stamp, answer)
        return answer


def findings_of(run: Run, recorder: Recorder, tracks: Tracks) -> list[Finding]:
    """Return the findings of a run; none without weights.

    Args:
        run: the run.
        recorder: records the texts.
        tracks: annotates them with features.

    Raises:
        GatescopeError: the run cannot be read.
    """
    if weights_stamp(run) is None:
        return []
    reader = RunReader(recorder, tracks, run, run.configuration(), run.task())
    return [finding for finder in FINDERS for finding in finder(reader)]


def findings_stamp(run: Run) -> str:
    """Return a text that changes with everything that findings are computed from."""
    files = (run.path / HISTORY, run.path / STUDIES / "labels.json")
    return " ".join(str(stamp_text(stamp)) for stamp in (weights_stamp(run), *map(file_stamp, files)))
