"""What a network of text wrote during its training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatescope.explorer.findings.finding import Finding, Place
from gatescope.explorer.findings.measured import RunReader
from gatescope.runs import SAMPLES
from gatescope.tasks.base.strings import StringTask

MAX_SAMPLES = 20  # that the page of a run has, the last ones
MAX_LINES = 4
MAX_CHARACTERS = 400


def sample(reader: RunReader) -> list[Finding]:
    """Return the last longer sample that the network wrote; empty for tasks of strings and runs without samples.

    The page of the training shows a former sample beside the checkpoint of its step; samples without one are left out.

    Raises:
        GatescopeError: the run cannot be read.
    """
    if isinstance(reader.task, StringTask):
        return []
    samples = [record for record in reader.run.read(SAMPLES)[-MAX_SAMPLES:] if isinstance(record.get("text"), str)]
    checkpoints = reader.run.checkpoints()
    shown = [record for record in samples if record is samples[-1] or record.get("step") in checkpoints]
    written = [record for record in shown if record["text"].strip()]
    if not written:
        return []
    # The last sample that is more than a line shows more of what the network has learned.
    record = next((record for record in reversed(written) if _lines(record) > 1), written[-1])
    lines = [line for line in record["text"][:MAX_CHARACTERS].split("\n") if line.strip()][:MAX_LINES]
    return [
        Finding(
            "wrote",
            "FINDING_WROTE",
            {
                "cell": ", ".join(dict.fromkeys(layer.cell.title for layer in reader.configuration.layers)),
                "step": int(record.get("step") or 0),
                "sample": "\n".join(lines),
            },
            None,
            Place("learning", checkpoint=None if record is samples[-1] else record["step"]),
        )
    ]


def _lines(record: Mapping[str, Any]) -> int:
    return sum(1 for line in record["text"][:MAX_CHARACTERS].split("\n") if line.strip())
