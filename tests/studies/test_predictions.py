"""Predictions of texts: equal to those of the network itself, and to the scores of the tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import gatescope
from gatescope.readout import classes, numbers
from gatescope.studies import StudyError
from gatescope.tasks import Sentiment

LETTERS = gatescope.Vocabulary(tuple("aXb\n"), "\n")
WORDS = gatescope.Vocabulary(("good", "bad", "not", "\n"), "\n", "word")


def _reference(network: gatescope.Network, ids: np.ndarray) -> np.ndarray:
    """Return the log-probabilities of one sequence by a single call of the network, (T, V)."""
    with torch.inference_mode():
        logits = network(torch.from_numpy(ids).long()[:, None]).logits
    return logits.log_softmax(-1).numpy().reshape(-1, logits.shape[-1])


def test_predict_gives_an_array_for_each_text() -> None:
    """Texts, one text of several sequences, and ids give the same arrays; numpy stacks them."""
    network = gatescope.Network(gatescope.configure(LETTERS, "lstm", [4]), seed=1)
    texts = ["aX\n", "Xa\n"]
    predictions = gatescope.predict(network, texts)
    for text, values in zip(texts, predictions, strict=True):
        np.testing.assert_allclose(values, _reference(network, LETTERS.encode(text)), atol=1e-6)
    for same in (
        gatescope.predict(network, "".join(texts)),
        gatescope.predict(network, list(map(LETTERS.encode, texts))),
    ):
        np.testing.assert_array_equal(np.stack(same), np.stack(predictions))
        assert same.texts == tuple(texts)


def test_table_of_next_symbols_ranks_them() -> None:
    """The table has the most probable symbols after the last step, or after every step."""
    network = gatescope.Network(gatescope.configure(LETTERS, "gru", [4]), seed=1)
    predictions = gatescope.predict(network, ["aXb"])
    table = predictions.table(top=2)
    order = np.argsort(-predictions[0][-1])[:2]
    assert table["prediction"].tolist() == [LETTERS.symbols[k] for k in order]
    np.testing.assert_allclose(table["probability"], np.exp(predictions[0][-1][order].astype(np.float64)))
    every = predictions.table(top=2, every_step=True)
    assert every["step"].tolist() == [0, 0, 1, 1, 2, 2]
    assert every["symbol"].tolist() == list("aaXXbb")
    assert len(predictions.table(top=99)) == 4


def test_classes_are_predicted_as_in_training() -> None:
    """A text is closed with the end mark, and an end mark inside is read as a space, as training reads texts."""
    network = gatescope.Network(
        gatescope.configure(WORDS, "lstm", [3], readout=classes(["+", "-"], "last step")), seed=0
    )
    open_text, closed, broken = (gatescope.predict(network, [text])[0] for text in ("not bad", "not bad\n", "not\nbad"))
    np.testing.assert_array_equal(open_text, closed)
    np.testing.assert_array_equal(open_text, broken)
    np.testing.assert_allclose(open_text, _reference(network, WORDS.encode("not bad\n")), atol=1e-6)
    (row,) = gatescope.predict(network, ["not bad"]).table()
    assert row["text"] == "not bad\n"
    assert row["p(+)"] + row["p(-)"] == pytest.approx(1)
    assert row["probability"] == max(row["p(+)"], row["p(-)"])
    with pytest.raises(StudyError, match="predicts once"):
        gatescope.predict(network, ["bad"]).table(every_step=True)


def test_labels_have_no_row_for_the_end_mark() -> None:
    """A network of labels in both directions reads the end mark as in training; the table has a row for each word."""
    network = gatescope.Network(
        gatescope.configure(WORDS, "lstm", [3], both_ways=True, readout=classes(["A", "N"])), seed=0
    )
    predictions = gatescope.predict(network, ["not Good"])
    assert len(predictions[0]) == 3
    table = predictions.table()
    assert table["symbol"].tolist() == ["not", "Good"]
    assert table["step"].tolist() == [0, 1]


def test_numbers_are_named_with_their_quantiles() -> None:
    """Each predicted number and quantile is a column with the network's own estimate."""
    vocabulary = gatescope.Vocabulary(("x", "y"), unit="number")
    network = gatescope.Network(
        gatescope.configure(vocabulary, "lstm", [3], readout=numbers(["z"], (0.1, 0.5, 0.9))), seed=0
    )
    predictions = gatescope.predict(network, [np.array([[1, 2], [3, 4]], np.float32)])
    (row,) = predictions.table()
    assert [row[f"z q{level}"] for level in (0.1, 0.5, 0.9)] == pytest.approx(predictions[0][-1].tolist())


def test_predictions_of_a_run_reach_its_score(tmp_path: Path) -> None:
    """The share of test texts whose class is predicted equals the score that training printed."""
    task = Sentiment()
    run = gatescope.create_run(tmp_path / "run", task)
    outcome = gatescope.train(run, steps=60)
    test = task.data().parts.test
    table = gatescope.predict(run, list(test.texts)).table()
    right = table["prediction"] == np.array(task.class_names, dtype=object)[test.labels]
    spaced = gatescope.predict(run, [f"  {text.replace(' ', '   ')} " for text in test.texts]).table()
    assert spaced["p(good)"].tolist() == table["p(good)"].tolist()
    assert outcome.score is not None
    assert right.mean() == pytest.approx(outcome.score.value)


@pytest.mark.parametrize(
    ("source", "sentence"), [([""], "nothing to record|[Ee]mpty"), (["aX\naX"], "expected one sequence, got 2")]
)
def test_predict_refuses_empty_and_joined_texts(source: list[str], sentence: str) -> None:
    """An empty text, and one text that holds several sequences, are refused."""
    network = gatescope.Network(gatescope.configure(LETTERS, "lstm", [2]))
    with pytest.raises(gatescope.GatescopeError, match=sentence):
        gatescope.predict(network, source)
