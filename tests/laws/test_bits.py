"""Bits: a loss in bits against numbers that information theory gives without a logarithm of our own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gatescope import Vocabulary
from gatescope.cli.output import format_loss
from gatescope.tasks.measures.text_score import score_text


@pytest.mark.parametrize("symbols", [2, 4, 16])
def test_score_of_equally_likely_symbols_in_bits(symbols: int) -> None:
    """A choice among 2, 4 or 16 equally likely symbols carries 1, 2 or 4 bits."""
    vocabulary = Vocabulary(tuple("abcdefghijklmnop"[:symbols]))
    ids = np.arange(200, dtype=np.int32) % symbols
    score = score_text(
        lambda texts: [np.full((len(text), symbols), -math.log(symbols)) for text in texts], ids, ids, vocabulary
    )
    bits = {2: 1, 4: 2, 16: 4}[symbols]
    assert score.details["bits"] == pytest.approx(bits, rel=1e-6)
    assert f"({bits}.000 bits)" in score.text


def test_printed_loss_in_bits() -> None:
    """One nat is 1.4427 bits, and the loss of a fair coin, 0.6931 nats, is one bit."""
    assert format_loss(1.0) == "1.0000 nats (1.4427 bits)"
    assert format_loss(0.69314718056) == "0.6931 nats (1.0000 bits)"
    assert format_loss(2772.58872224, 5) == "2772.6 nats (4000 bits)"
