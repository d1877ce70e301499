"""The step at which the card of a label is shown."""

import numpy as np
import pytest

from gatescope.explorer.findings.from_labels import STEPS_INSIDE, _step_on
from gatescope.features import Feature


def binary(text: str) -> Feature:
    """Return a feature that is on at every `#`."""
    return Feature("is", "is", np.array([symbol == "#" for symbol in text]))


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("....##########....###..", 4 + STEPS_INSIDE),
        ("..##..###..", 7),
        ("#########...###.....", 13),
        ("##########", STEPS_INSIDE),
        ("....#", 4),
    ],
)
def test_step_is_inside_the_longest_later_stretch(text: str, step: int) -> None:
    """The step lies near the begin of the longest stretch that does not begin with the text, so that a change shows."""
    assert _step_on(binary(text)) == step


def test_step_of_a_count_is_its_first_maximum() -> None:
    values = np.array([0.0, 2.0, np.nan, 5.0, 5.0, 1.0])
    assert _step_on(Feature("count", "count", values.astype(np.float32))) == 3
