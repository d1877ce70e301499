"""Every command on networks of words or numbers, bidirectional ones, and networks that predict classes or numbers.

A command works, or refuses with one sentence.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatescope import Network, Vocabulary, configure
from gatescope.readout import SYMBOLS, Readout, classes, numbers
from gatescope.runs import Run
from gatescope.studies.labels import Search
from gatescope.tasks import Adopted
from tests.cli.conftest import Cli

RANDOM = np.random.default_rng(0)
SENTENCES = "".join(
    " ".join(RANDOM.choice(["the", "a", "cat", "dog", "sees", "eats", ".", "big", "it"], RANDOM.integers(3, 10))) + "\n"
    for _ in range(120)
)
SERIES = "\n\n".join(
    "\n".join(f"{a:.2f},{int(b)}" for a, b in zip(RANDOM.normal(size=n), RANDOM.random(n) < 0.4, strict=True))
    for n in RANDOM.integers(8, 20, 40)
)
WORDS = Vocabulary.of_words(SENTENCES.split(), end="\n")
NUMBERS = Vocabulary(("x", "gate"), None, "number")
KINDS: dict[str, tuple[Vocabulary, Readout, str, bool]] = {
    "tagger": (WORDS, classes(("noun", "verb", "other")), SENTENCES, True),
    "judge": (Vocabulary.of(SENTENCES, "\n"), classes(("bad", "good"), "last step"), SENTENCES, False),
    "judge2": (WORDS, classes(("bad", "good"), "last step"), SENTENCES, True),
    "forecast": (NUMBERS, numbers(("next",), (0.1, 0.9)), SERIES, False),
    "sum": (NUMBERS, numbers(("sum",), reads="last step"), SERIES, True),
    "both": (Vocabulary.of(SENTENCES), SYMBOLS, SENTENCES, True),
    "words": (WORDS, SYMBOLS, SENTENCES, False),
}


def answers(task: Adopted, text: str) -> Any:
    """Return arbitrary targets, because a text of an adopted network has none."""
    count, readout = len(task.vocabulary.encode(text)), task.readout
    if readout.kind == "symbols":
        return None
    if readout.kind == "classes":
        return (np.arange(count) % len(readout.names)).astype(np.int32)
    return np.linspace(0, 1, count, dtype=np.float32)[:, None]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return ./runs of `cli` with an untrained run of each kind."""
    monkeypatch.setattr(Adopted, "answers", answers)
    for name, (vocabulary, readout, text, both) in KINDS.items():
        configuration = configure(vocabulary, "lstm", [4], readout=readout, both_ways=both)
        run = Run.create(tmp_path / "runs" / name, configuration, Adopted(vocabulary, "here", text, (), readout), {})
        run.save_weights(Network(configuration, 3).state_dict(), 0)
    return tmp_path / "runs"


@pytest.mark.parametrize("name", KINDS)
def test_commands_work_or_refuse_on_every_kind_of_network(
    name: str, runs: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatescope.studies.common.subjects.TEXT_CHARACTERS", 800)
    monkeypatch.setattr("gatescope.cli.commands.horizon.TEXT_CHARACTERS", 400)
    monkeypatch.setattr("gatescope.studies.labels.Search", lambda **_: Search(lags=(0,), pairs=False, chances=50))
    layer = "0_reverse" if KINDS[name][3] else "0"
    trace = tmp_path / "trace"
    for arguments in (
        ("record", name),
        ("record", name, "--json"),
        ("record", name, "--out", trace),
        ("check", name),
        ("check", trace),
        ("label", name),
        ("probe", name, "--layer", layer),
        ("ablate", name, "--layer", layer, "--characters", 300),
        ("passages", name, "--neuron", 1, "--layer", layer, "--count", 2),
        ("passages", trace, "--neuron", 1, "--layer", layer, "--count", 2),
        ("pattern", name, "--range", "1:2", "--threshold", "0.001", "--anywhere", "--layer", f"layer{layer}"),
        ("health", name),
        ("horizon", name, "--furthest", 4, "--samples", 5),
    ):
        assert cli(*arguments).status == 0, (arguments, cli(*arguments).err)
    writes = name == "words"
    for arguments in (("sample", name), ("steer", name, "--neuron", 0, "--feature", "the=the", "--samples", 2)):
        result = cli(*arguments)
        assert result.status == 0 if writes else result.refused()
    assert cli("errors", name).refused()


def test_output_names_classes_numbers_and_directions(runs: Path, cli: Cli) -> None:
    entries = json.loads(cli("record", "tagger", "the cat sees\n", "--json").out)["steps"]
    assert [entry["symbol"] for entry in entries] == ["the", "cat", "sees", "\n"]
    assert [entry["right"] for entry in entries] == ["noun", "verb", "other", "noun"]
    assert {item["class"] for item in entries[0]["predictions"]} == {"noun", "verb", "other"}
    entries = json.loads(cli("record", "forecast", "0.1,2\n3,4\n", "--json").out)["steps"]
    assert [entry["symbol"] for entry in entries] == ["0.1,2.0", "3.0,4.0"]
    assert set(entries[0]["estimates"]) == {"next 0.1", "next 0.9"}
    assert entries[1]["right"] == {"next": 1.0}
    answer = [entry["predictions"] for entry in json.loads(cli("record", "judge2", "the cat", "--json").out)["steps"]]
    assert [len(item) for item in answer] == [0, 0, 2]  # bidirectional, with the end mark appended
    printed = cli("record", "tagger", "the cat\n").out
    assert "p(target)" in printed
    assert "noun" in printed
    assert "squared error" not in cli("ablate", "forecast", "--characters", 100).out
    assert "pinball loss" in cli("ablate", "forecast", "--characters", 100).out
    layers = set(json.loads(cli("ablate", "tagger", "--characters", 200, "--json").out)["columns"]["layer"])
    assert layers == {"layer0", "layer0_reverse"}
    assert "0_reverse" in cli("health", "tagger").out
    assert "later input" in cli("horizon", "tagger", "--furthest", 3, "--samples", 5).out
    assert "Layer: expected one of 0, 0_reverse, got '1'" in cli("probe", "tagger", "--layer", 1).refused()


def test_sampled_words_are_separated_by_spaces(runs: Path, cli: Cli) -> None:
    written = cli("sample", "words", "--prime", "the cat", "--length", 6, "--seed", 1, "--stop", "zzz").out
    assert written.startswith(("the cat ", "the cat\n"))
    text = written.removesuffix("\n") if written.endswith("\n\n") else written
    assert len(WORDS.encode(text)) in (7, 8, 9)
    assert "  " not in written
    table = cli("steer", "words", "--neuron", 0, "--feature", "words.is=the", "--samples", 2, "--length", 5, "--json")
    assert json.loads(table.out)["about"]["unit"] == "word"
