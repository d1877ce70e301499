"""The task of an adopted network: its examples and texts, for every kind of vocabulary."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gatescope.readout import SYMBOLS, Readout, classes, numbers
from gatescope.tasks import Adopted, TaskError
from gatescope.vocabulary import Vocabulary

WORDS = Vocabulary(("⟨0⟩", "<unk>", "good", "bad", "film"), unit="word", other="<unk>")
SERIES = Vocabulary(("x", "y"), unit="number")


@pytest.mark.parametrize(
    ("vocabulary", "text", "readout"),
    [
        (WORDS, "", classes(("no", "yes"), "last step")),
        (WORDS, "good film\n\nbad film", classes(("no", "yes"), "last step")),
        (SERIES, "", numbers(("next",))),
        (SERIES, "1,2\n3,4\n\n5,6\n", numbers(("next",))),
        (Vocabulary(tuple("ab")), "abba", SYMBOLS),
        (Vocabulary.of_bytes(), "", SYMBOLS),
    ],
)
def test_every_kind_has_examples_and_survives_json(vocabulary: Vocabulary, text: str, readout: Readout) -> None:
    task = Adopted(vocabulary, "m.pt", text, ["a note"], readout)
    loaded = Adopted.from_json(json.loads(json.dumps(task.to_json())))
    assert (loaded.vocabulary, loaded.text, loaded.readout, loaded.notes) == (vocabulary, text, readout, ["a note"])
    for example in loaded.examples():
        encoded = vocabulary.encode(example)
        assert len(encoded)
        assert vocabulary.unit == "number" or vocabulary.unknown_in(example) == []
        assert len(vocabulary.split(example)) == 1


def test_examples_of_words_are_words_and_of_numbers_waves() -> None:
    assert Adopted(WORDS, "m.pt").examples() == ["good bad film"]
    waves = SERIES.encode(Adopted(SERIES, "m.pt").examples()[0])
    expected = [[np.sin(2 * np.pi * t / 24), np.sin(4 * np.pi * t / 24)] for t in range(24)]
    np.testing.assert_allclose(waves, expected, atol=0.0051)  # rounded to two decimals


def test_text_is_cut_at_whole_lines() -> None:
    text = "".join(f"{k},{k + 1000}\n" for k in range(30_000))
    task = Adopted(SERIES, "m.pt", text)
    assert len(task.text) <= 200_000 < len(task.text) + 12
    assert text.startswith(task.text)
    assert task.text.endswith("\n")
    assert task.held_out(20) == "0,1000\n1,1001\n"
    long = Adopted(SERIES, "m.pt", "1.0000000000,2.0000000000\n3,4\n")
    assert long.held_out(5) == "1.0000000000,2.0000000000"
    words = Adopted(WORDS, "m.pt", "good bad film")
    assert (words.held_out(10), words.held_out(2)) == ("good bad", "go")


def test_texts_of_another_network_are_refused() -> None:
    with pytest.raises(TaskError, match=r"Line 1 \('x,y'\): expected the 2 numbers"):
        Adopted(SERIES, "m.pt", "x,y\n1,2\n")
    with pytest.raises(TaskError, match="expected words of the vocabulary, got none"):
        Adopted(Vocabulary(("good",), unit="word"), "m.pt", "schlecht")
