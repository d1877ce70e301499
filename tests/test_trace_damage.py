"""Damage of a stored trace is noticed when it is opened, and gives one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import gatescope
from gatescope import Vocabulary, configure
from gatescope.cli.output import harmless
from gatescope.trace import TraceError

NETWORK = gatescope.Network(configure(Vocabulary(tuple("abX\n"), end="\n"), "lstm", [5]), seed=0)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    gatescope.record_to(tmp_path / "trace", NETWORK, "aXb\naabX")
    return tmp_path / "trace"


def changed(root: Path, **attributes: Any) -> None:
    data = json.loads((root / "zarr.json").read_text())
    data["attributes"].update(attributes)
    (root / "zarr.json").write_text(json.dumps(data))


@pytest.mark.parametrize("name", ["token", "target", "length"])
def test_one_changed_bit_of_ids_is_noticed(stored: Path, name: str) -> None:
    chunk = next(file for file in (stored / name).iterdir() if file.name.startswith("c"))
    content = chunk.read_bytes()
    chunk.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(TraceError, match=f"expected {name} as it was written|expected sequences of 0 to 4 steps"):
        gatescope.open_trace(stored)
    chunk.write_bytes(content)
    assert gatescope.open_trace(stored).text(0) == "aXb\n"


def test_trace_without_checksums_opens(stored: Path) -> None:
    """Earlier versions wrote none."""
    changed(stored, checksums=None)
    assert gatescope.open_trace(stored).text(1) == "aabX"


@pytest.mark.parametrize(
    "vocabulary",
    [{}, {"unit": "x", "end": None}, {"unit": "character", "end": None, "symbols": 5}, {"unit": "word", "end": 3}],
)
def test_bad_vocabulary_is_one_sentence(stored: Path, vocabulary: dict[str, Any]) -> None:
    changed(stored, vocabulary=vocabulary)
    with pytest.raises(TraceError, match="vocabulary"):
        gatescope.open_trace(stored)


@pytest.mark.parametrize("pairs", [5, [[0]], [[0, 1]], [[1, 1]], [[1, -1]], [[2, 0]], [[9, 0]], [[True, False]]])
def test_bad_pairs_of_equal_sequences_are_refused(stored: Path, pairs: Any) -> None:
    changed(stored, repeats=pairs)
    with pytest.raises(TraceError, match="repeats"):
        gatescope.open_trace(stored)


def test_trace_of_a_watched_module_keeps_its_checksum(tmp_path: Path) -> None:
    module = torch.nn.GRU(2, 3)
    with gatescope.watch(module) as watched:
        module(torch.randn(4, 2, 2))
    gatescope.save_trace(watched[""], tmp_path / "one")
    gatescope.save_trace(gatescope.open_trace(tmp_path / "one"), tmp_path / "two")
    assert gatescope.open_trace(tmp_path / "two").lengths.tolist() == [4, 4]


def test_characters_that_a_terminal_acts_on_are_symbols() -> None:
    assert harmless("a\x1b[31m\tb\n\x7f\u202ec") == "a\N{SYMBOL FOR ESCAPE}[31m\tb\n\N{SYMBOL FOR DELETE}<U+202E>c"
