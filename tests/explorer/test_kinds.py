"""The explorer's server on networks that read words and numbers, say classes and numbers, and read from the end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from gatescope.configuration import configure
from gatescope.explorer.gradients import Gradients
from gatescope.explorer.recorder import Recorder
from gatescope.explorer.requests import RequestError
from gatescope.explorer.wire import TraceRequest
from gatescope.network import Network
from gatescope.readout import Readout, classes, numbers
from gatescope.runs import Run
from gatescope.tasks import Adopted
from gatescope.vocabulary import Vocabulary

WORDS = Vocabulary.of_words(["the", "cat", "sees", "a", "dog", "runs"], end="\n")
PAIRS = Vocabulary(("x", "mark"), unit="number")
SERIES = "0.5,1\n0.25,0\n\n1,0\n2,1\n3,0\n"

Make = Callable[..., Run]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A run of a network that was brought from elsewhere, with weights as they were drawn."""

    def made(vocabulary: Vocabulary, readout: Readout, **options: Any) -> Run:
        configuration = configure(vocabulary, "gru", [3, 2], readout=readout, **options)
        run = Run.create(tmp_path / "run", configuration, Adopted(vocabulary, "elsewhere", SERIES, (), readout), {})
        run.save_weights(Network(configuration, 1).state_dict(), 0)
        return run

    return made


def arrays(run: Run, text: str, **more: Any) -> dict[str, np.ndarray[Any, Any]]:
    return load(Recorder().answer(run, TraceRequest(text, signals=(), **more))[0])


def test_numbers_in_and_numbers_out(make: Make) -> None:
    run = make(PAIRS, numbers(["y", "z"], (0.1, 0.5, 0.9)))
    found = arrays(run, SERIES)
    assert found["input"].tolist() == [[0.5, 1], [0.25, 0], [1, 0], [2, 1], [3, 0]]
    assert found["token"].tolist() == [-1] * 5
    assert found["start"].tolist() == [1, 0, 1, 0, 0]
    assert found["estimate"].shape == (5, 6)
    assert np.isfinite(found["estimate"]).all()
    assert np.isnan(found["value"]).all()
    assert not any(name.startswith(("top_", "log_", "target")) for name in found)


def test_who_reads_both_ways_and_answers_once_says_nothing_before_the_end(make: Make) -> None:
    found = arrays(make(WORDS, classes(["bad", "good"], "last step"), both_ways=True), "the cat\na dog runs")
    assert found["start"].tolist() == [1, 0, 0, 1, 0, 0, 0]  # the last line is given its end
    assert (found["top_token"][:, 0] >= 0).tolist() == [False, False, True, False, False, False, True]
    assert np.isnan(found["top_probability"][0]).all()
    assert found["top_probability"][2].sum() == pytest.approx(1)
    assert found["target"].tolist() == [-1] * 7


SAID = (classes(["a", "b"]), classes(["a", "b"], "last step"), numbers(["y"], (0.25, 0.5, 0.75)))


@pytest.mark.parametrize(
    ("vocabulary", "readout"),
    [(WORDS, Readout()), *((vocabulary, readout) for vocabulary in (WORDS, PAIRS) for readout in SAID)],
)
@pytest.mark.parametrize("both_ways", [False, True])
def test_an_empty_text_has_the_arrays_of_a_full_one(
    make: Make, vocabulary: Vocabulary, readout: Readout, both_ways: bool
) -> None:
    run = make(vocabulary, readout, both_ways=both_ways)
    full = arrays(run, SERIES if vocabulary.unit == "number" else "the cat\n", drives=False)
    empty = arrays(run, "", drives=False)
    assert {name: (array.dtype, array.shape[1:]) for name, array in empty.items()} == {
        name: (array.dtype, array.shape[1:]) for name, array in full.items()
    }
    assert {array.shape[0] for array in empty.values()} == {0}


def test_lines_that_hold_no_numbers_are_refused(make: Make) -> None:
    with pytest.raises(RequestError, match="many"):
        arrays(make(PAIRS, numbers(["y"])), "0.5,1\nmany,0\n")


def refused(run: Run, ask: str, **data: Any) -> str:
    with pytest.raises(RequestError) as caught:
        getattr(Gradients(), ask)(run, data)
    assert caught.value.status == 409
    return str(caught.value)


def test_what_makes_no_sense_is_said_in_a_sentence(make: Make) -> None:
    run = make(PAIRS, numbers(["y"]))
    assert "reads numbers" in refused(run, "gradients", text=SERIES, layer="layer0")


def test_gradients_of_layers_that_read_from_the_end_are_refused(make: Make) -> None:
    run = make(WORDS, classes(["a", "b"]), both_ways=True)
    assert "reads from the end" in refused(run, "gradients", text="the cat\n", layer="layer0_reverse")
    assert "Measure by gradient" in refused(run, "connections", text="the cat\n", by="change", step=0)


def test_the_labels_of_the_map_are_its_steps(make: Make) -> None:
    run = make(WORDS, classes(["a", "b"], "last step"))
    body, _ = Gradients().gradients(run, {"text": "the cat", "layer": "layer0"})
    about = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])["__metadata__"]
    assert json.loads(about["labels"]) == ["the", "cat", "\n"]
    assert load(body)["norm"].shape == (3, 3)
