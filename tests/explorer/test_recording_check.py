"""The comparison of a recording with a second run: what rounding explains holds, what it does not is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatescope import Network, Vocabulary, configure
from gatescope.explorer.recording_check import check_recording
from gatescope.explorer.requests import RequestError
from gatescope.explorer.text_recording import TextRecording, record_text

TEXT = "aXbbaXab" * 5
DRIVE, SIGNAL, HIDDEN = ("layer0", "u.i", None), ("layer0", "c", (1, 3)), ("layer0", "h", None)


@pytest.fixture
def recording() -> TextRecording:
    torch.manual_seed(5)
    network = Network(configure(Vocabulary(tuple("abX")), "lstm", (6,)))
    return record_text(network, TEXT, list(TEXT), 0, None, [DRIVE, SIGNAL, HIDDEN], [], lambda done, total: None)


def checked(recording: TextRecording) -> float:
    return check_recording(recording, TEXT, lambda: None)


def test_drives_near_zero_may_differ_by_rounding(recording: TextRecording) -> None:
    """The products of a drive cancel: its rounding follows their size, not that of their sum."""
    drives = recording.sequences[0].arrays[DRIVE]
    drives[...] += np.float32(2.0**-24)
    assert 0 < np.abs(drives).min() < 1e-3
    assert 0 < checked(recording) < 1e-6


@pytest.mark.parametrize("sign", [-1, 1])
def test_other_drives_are_refused(recording: TextRecording, sign: int) -> None:
    recording.sequences[0].arrays[DRIVE][17, 2] += sign * np.float32(3e-5)
    with pytest.raises(RequestError, match=r"^u\.i of layer0: expected the values of a second recording"):
        checked(recording)


def test_unknown_drives_are_refused(recording: TextRecording) -> None:
    recording.sequences[0].arrays[DRIVE][17, 2] = np.nan
    with pytest.raises(RequestError, match=r"^u\.i of layer0"):
        checked(recording)


def test_signals_must_have_the_same_bits(recording: TextRecording) -> None:
    values = recording.sequences[0].arrays[SIGNAL]
    values[30, 1] = np.nextafter(values[30, 1], np.float32(9))
    with pytest.raises(RequestError, match=r"^c of layer0: expected the values of a second recording"):
        checked(recording)
