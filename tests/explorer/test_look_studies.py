"""The studies behind the other ways to look: the numbers of the library, in the form of the page."""

import json
from typing import Any

import numpy as np
import pytest

from gatescope import TASKS, Run, Settings, configure, create_run, train
from gatescope.explorer.distribution_study import study_distributions
from gatescope.explorer.neuron_study import study_neuron, study_passages
from gatescope.explorer.snapshot_study import study_snapshot
from gatescope.explorer.study_request import StudyRequest
from gatescope.explorer.study_text import StudyText
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError
from gatescope.studies.distributions import distributions
from gatescope.studies.snapshots import snapshot
from gatescope.tasks.text import Text


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StudyText]:
    folder = tmp_path_factory.mktemp("runs")
    corpus = folder / "corpus.txt"
    corpus.write_text("to be or not to be, that is the question. " * 60, encoding="utf-8")
    counter, text = TASKS["counter"](batch=2), Text([corpus])
    for name, task, cell in (("lstm", counter, "lstm"), ("gru", counter, "gru"), ("text", text, "lstm")):
        run = create_run(
            folder / name, task, configure(task.vocabulary, cell, [5]), Settings.recommended(task, steps=2)
        )
        train(run)
    return {name: StudyText(Run(folder / name)) for name in ("lstm", "gru", "text")}


def quiet(doing: str, done: int, total: int) -> None:
    """Report nothing."""


def answer(study: Any, text: StudyText, **fields: Any) -> dict[str, Any]:
    """Return the answer of a study as the page reads it."""
    name = study.__name__.removeprefix("study_")
    request = StudyRequest.from_json({"study": name, **fields})
    return json.loads(json.dumps(study(text, request, quiet), allow_nan=False))


@pytest.mark.parametrize("name", ["lstm", "gru", "text"])
def test_distributions_are_those_of_numpy(texts: dict[str, StudyText], name: str) -> None:
    text = texts[name]
    found = answer(study_distributions, text)
    table = distributions(text.trace, by_neuron=True)
    places = Steps(text.trace)
    for one in found["signals"]:
        rows = table.where(signal=one["signal"])
        assert one["total"] == rows.where(neuron=-1)["count"].tolist()
        values = np.concatenate(
            [np.asarray(text.trace["layer0"][one["signal"]])[s, :n] for s, n in enumerate(text.trace.lengths)]
        ).astype(np.float64)
        edges = np.linspace(one["low"], one["high"], 41)
        for neuron, counts in enumerate(one["counts"]):
            expected, _ = np.histogram(np.clip(values[:, neuron], edges[0], edges[-1]), edges)
            assert counts == expected.tolist()
        assert one["mean"] == pytest.approx(values.mean(), rel=1e-9)
        assert one["deviation"] == pytest.approx(values.std(), rel=1e-9)
        assert (one["smallest"], one["largest"]) == (values.min(), values.max())
    assert found["steps"] == len(places.sequence)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_snapshot_takes_the_symbol_that_every_sequence_has_once(texts: dict[str, StudyText], name: str) -> None:
    text = texts[name]
    found = answer(study_snapshot, text, signal="h")
    assert found["at"] == "X"
    table = snapshot(text.trace, "X", signals=["h"])
    expected = {(row["text"], row["neuron"]): row["h"] for row in table}
    assert found["sequences"] == len({row["sequence"] for row in table})
    for neuron, values in enumerate(found["values"]):
        assert values == [expected[word, neuron] for word in found["texts"]]
    assert found["steps"] == sorted(found["steps"]) == [word.index("X") for word in found["texts"]]
    assert found["markers"][0] == {"symbol": "X", "sequences": found["sequences"]}


def test_snapshot_takes_a_chosen_symbol_or_step(texts: dict[str, StudyText]) -> None:
    last = answer(study_snapshot, texts["lstm"], signal="c", at="#-1")
    assert all(step == len(word) - 1 for step, word in zip(last["steps"], last["texts"], strict=True))
    first = answer(study_snapshot, texts["lstm"], signal="c", at="b")
    assert first["at"] == "b"
    with pytest.raises(StudyError, match="expected"):
        answer(study_snapshot, texts["lstm"], signal="c", at="z")


def test_one_long_text_has_no_step_of_every_sequence(texts: dict[str, StudyText]) -> None:
    with pytest.raises(StudyError, match="expected several, got one long text"):
        answer(study_snapshot, texts["text"], signal="h")


def test_passages_are_the_first_of_the_study_of_the_neuron(texts: dict[str, StudyText]) -> None:
    fields = {"signal": "c", "neuron": 3}
    few = answer(study_passages, texts["lstm"], **fields)
    all_of_them = answer(study_neuron, texts["lstm"], **fields)
    for end in ("most", "least"):
        assert few[end] == all_of_them[end][:3]


def test_unknown_neuron_is_refused(texts: dict[str, StudyText]) -> None:
    with pytest.raises(StudyError):
        answer(study_passages, texts["lstm"], neuron=99)
