"""The explorer on networks of words, numbers and classes, and on bidirectional networks."""

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
    """Return a function that creates a run of an adopted, untrained network."""

    def made(vocabulary: Vocabulary, readout: Readout, **options: Any) -> Run:
        configuration = configure(vocabulary, "gru", [3, 2], readout=readout, **options)
        run = Run.create(tmp_path / "run", configuration, Adopted(vocabulary, "elsewhere", SERIES, (), readout), {})
        run.save_weights(Network(configuration, 1).state_dict(), 0)
        return run

    return made


def arrays(run: Run, text: str, **more: Any) -> dict[str, np.ndarray[Any, Any]]:
    return load(Recorder().answer(run, TraceRequest(text, signals=(), **more))[0])


def test_trace_of_numbers_has_inputs_and_estimates(make: Make) -> None:
    run = make(PAIRS, numbers(["y", "z"], (0.1, 0.5, 0.9)))
    result = arrays(run, SERIES)
    assert result["input"].tolist() == [[0.5, 1], [0.25, 0], [1, 0], [2, 1], [3, 0]]
    assert result["token"].tolist() == [-1] * 5
    assert result["start"].tolist() == [1, 0, 1, 0, 0]
    assert result["estimate"].shape == (5, 6)
    assert np.isfinite(result["estimate"]).all()
    assert np.isnan(result["value"]).all()
    assert not any(name.startswith(("top_", "log_", "target")) for name in result)


def test_bidirectional_classifier_predicts_at_the_end_only(make: Make) -> None:
    result = arrays(make(WORDS, classes(["bad", "good"], "last step"), both_ways=True), "the cat\na dog runs")
    assert result["start"].tolist() == [1, 0, 0, 1, 0, 0, 0]  # the end mark is appended to the last line
    assert (result["top_token"][:, 0] >= 0).tolist() == [False, False, True, False, False, False, True]
    assert np.isnan(result["top_probability"][0]).all()
    assert result["top_probability"][2].sum() == pytest.approx(1)
    assert result["target"].tolist() == [-1] * 7


SAID = (classes(["a", "b"]), classes(["a", "b"], "last step"), numbers(["y"], (0.25, 0.5, 0.75)))


@pytest.mark.parametrize(
    ("vocabulary", "readout"),
    [(WORDS, Readout()), *((vocabulary, readout) for vocabulary in (WORDS, PAIRS) for readout in SAID)],
)
@pytest.mark.parametrize("both_ways", [False, True])
def test_empty_text_has_the_arrays_of_a_full_one(
    make: Make, vocabulary: Vocabulary, readout: Readout, both_ways: bool
) -> None:
    run = make(vocabulary, readout, both_ways=both_ways)
    full = arrays(run, SERIES if vocabulary.unit == "number" else "the cat\n", drives=False)
    empty = arrays(run, "", drives=False)
    assert {name: (array.dtype, array.shape[1:]) for name, array in empty.items()} == {
        name: (array.dtype, array.shape[1:]) for name, array in full.items()
    }
    assert {array.shape[0] for array in empty.values()} == {0}


def test_trace_refuses_lines_without_numbers(make: Make) -> None:
    with pytest.raises(RequestError, match="many"):
        arrays(make(PAIRS, numbers(["y"])), "0.5,1\nmany,0\n")


def refused(run: Run, ask: str, **data: Any) -> str:
    with pytest.raises(RequestError) as caught:
        getattr(Gradients(), ask)(run, data)
    assert caught.value.status == 409
    return str(caught.value)


def test_gradients_of_numbers_are_refused(make: Make) -> None:
    run = make(PAIRS, numbers(["y"]))
    assert "reads numbers" in refused(run, "gradients", text=SERIES, layer="layer0")


def test_gradients_of_backward_layers_are_refused(make: Make) -> None:
    run = make(WORDS, classes(["a", "b"]), both_ways=True)
    assert "reads from the end" in refused(run, "gradients", text="the cat\n", layer="layer0_reverse")
    assert "Measure by gradient" in refused(run, "connections", text="the cat\n", by="change", step=0)


def test_map_labels_are_its_steps(make: Make) -> None:
    run = make(WORDS, classes(["a", "b"], "last step"))
    body, _ = Gradients().gradients(run, {"text": "the cat", "layer": "layer0"})
    metadata = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])["__metadata__"]
    assert json.loads(metadata["labels"]) == ["the", "cat", "\n"]
    assert load(body)["norm"].shape == (3, 3)
