"""The sample on the card of a network of text."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from gatescope.explorer.findings.measured import RunReader
from gatescope.explorer.findings.samples import sample

LONG, SHORT = "if a:\n    return b\n", "   \n  x\n"


def reader(texts: dict[int, str], checkpoints: list[int]) -> RunReader:
    """Return a reader of a run that wrote `texts`, by training step, and has `checkpoints`."""
    records: list[dict[str, Any]] = [{"step": step, "text": text} for step, text in texts.items()]
    run = SimpleNamespace(read=lambda name: records, checkpoints=lambda: checkpoints)
    layers = [SimpleNamespace(cell=SimpleNamespace(title="LSTM"))]
    return Mock(spec=RunReader, run=run, task=None, configuration=SimpleNamespace(layers=layers))


@pytest.mark.parametrize(
    ("texts", "checkpoints", "step", "checkpoint"),
    [
        ({100: LONG, 200: LONG}, [100, 200], 200, None),
        ({100: LONG, 200: SHORT}, [100, 200], 100, 100),
        ({100: LONG, 150: LONG, 200: SHORT}, [100, 200], 100, 100),
        ({100: LONG, 200: SHORT}, [], 200, None),
        # The page has the last 20 samples.
        ({1: LONG} | dict.fromkeys(range(2, 22), SHORT), [1], 21, None),
        ({1: LONG} | dict.fromkeys(range(2, 21), SHORT), [1], 1, 1),
    ],
)
def test_place_shows_the_sample_of_the_card(
    texts: dict[int, str], checkpoints: list[int], step: int, checkpoint: int | None
) -> None:
    """The page of the training shows the last sample, and former ones at checkpoints of their steps."""
    (finding,) = sample(reader(texts, checkpoints))
    assert (finding.values["step"], finding.place.checkpoint) == (step, checkpoint)
