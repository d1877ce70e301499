"""Laws of the bundle: its rules, evaluated without any code of a task, give the score of the task."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatescope import TASKS, Settings
from gatescope.network import Network, predict
from gatescope.tasks import Task, TaskError
from gatescope.tasks.base.strings import StringTask
from gatescope.tasks.base.task import Predict, ReadsManyPlaces
from gatescope.training import Loop, TrainingError, bundle, recommended_network, write_bundle
from tests.reference import task_data
from tests.tasks import grammars, oracles

MEMORY = ["counter", "selective_counter", "state_memoriser", "copy"]
LANGUAGES: dict[str, dict[str, Any]] = {
    "anbn": {"longest": 8, "stop": 0.2},
    "anbncn": {"longest": 6},
    "dyck1": {"longest": 8},
    "dyck2": {"opens": 0.3},
    "parity": {"longest": 10, "stop": 0.2},
}
RULES = {
    "anbn": grammars.blocks_after("ab", 0.2),
    "anbncn": grammars.blocks_after("abc", 0.5),
    "dyck1": grammars.dyck_after("()", 0.4),
    "dyck2": grammars.dyck_after("()[]", 0.3),
    "parity": grammars.parity_after(0.2),
}
PROSE = "It was the best of times, it was the worst of times;\nit was the age of 'wisdom'.\n" * 40


def make(name: str) -> Task:
    return TASKS[name](**LANGUAGES.get(name, {}))


@cache
def document_of(name: str) -> dict[str, Any]:
    """Return the bundle of `make(name)`; tests do not change it."""
    return json.loads(json.dumps(bundle(make(name))))


def trained(task: Task, steps: int) -> Predict:
    """Return a network after some updates: it is right about some strings only."""
    loop = Loop(Network(recommended_network(task), seed=1), task, Settings(steps=1000, learning_rate=0.02))
    for _ in range(steps):
        loop.update()
    return partial(predict, loop.network)


def right_up_to(predictor: Predict, symbols: int) -> Predict:
    """Return a predictor that follows another one for some symbols, and then predicts the first symbol."""

    def limited(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        results = [np.array(rows, np.float64) for rows in predictor(sequences)]
        for rows in results:
            rows[symbols:] = -9.0
            rows[symbols:, 0] = 0.0
        return results

    return limited


def oracle(task: Task) -> Predict:
    if task.name in MEMORY:
        return oracles.predictor(task, oracles.RULES[task.name])
    return grammars.predictor(task.vocabulary, RULES[task.name])


def assert_same_score(task: Task, predictor: Predict) -> dict[str, Any]:
    """Check that the rule of the bundle gives the score of the task, and return the former."""
    document = document_of(task.name)
    expected, actual = task.score(predictor), task_data.score(document, predictor)
    details = expected.details
    assert actual["value"] == pytest.approx(expected.value, abs=1e-12)
    assert actual["chance"] == pytest.approx(expected.chance, abs=1e-12)
    assert actual["solved"] is expected.solved
    assert actual.get("first_failure") == details.get("first_failure")
    assert actual.get("shares") == details.get("other_lengths")
    if details.get("gap") is not None:
        assert actual["gap"] == pytest.approx(details["gap"], abs=1e-9)
        assert document["score"]["optimum"] == details["optimum"]
    assert document["score"]["tried"] == details.get("tried")
    return actual


@pytest.mark.parametrize(("name", "steps"), [*((name, 60) for name in LANGUAGES), *((name, 150) for name in MEMORY)])
def test_rule_gives_the_score_of_a_network(name: str, steps: int) -> None:
    task = make(name)
    assert_same_score(task, trained(task, steps))


@pytest.mark.parametrize(("symbols", "failure"), [(33, 17), (20, 10), (9, 5)])
def test_rule_finds_the_first_failure_of_counter(symbols: int, failure: int) -> None:
    """a^N X b^N needs N + 1 + N predictions."""
    task = make("counter")
    assert assert_same_score(task, right_up_to(oracle(task), symbols))["first_failure"] == failure


@pytest.mark.parametrize("name", [*MEMORY, *LANGUAGES])
def test_rule_gives_the_score_of_a_limited_oracle(name: str) -> None:
    task = make(name)
    score = assert_same_score(task, right_up_to(oracle(task), 26))
    assert score["solved"] is (name not in ("selective_counter", "dyck2")), "these draw longer strings"


@pytest.mark.parametrize("name", [*MEMORY, *LANGUAGES])
def test_validation_strings_give_the_validation_loss(name: str) -> None:
    task = make(name)
    document, predictor = document_of(name), trained(task, 5)
    if document["validation"]["rule"] == "divergence":
        strings = task_data.strings_of(document["score"]["strings"])
        rows = list(predictor([task.vocabulary.encode(string["text"])[:-1] for string in strings]))
        loss = document["score"]["optimum"] + task_data.divergence(document["score"], strings, rows)
    else:
        nats, count = 0.0, 0
        for text in document["validation"]["strings"]["text"]:
            ids = task.vocabulary.encode(text)
            nats -= float(predictor([ids[:-1]])[0].astype(float)[np.arange(len(ids) - 1), ids[1:]].sum())
            count += len(ids) - 1
        loss = nats / count
    assert loss == pytest.approx(task.validation(predictor), rel=1e-6)


def test_text_bundle_gives_score_and_validation(tmp_path: Path) -> None:
    (tmp_path / "prose.txt").write_text(PROSE + "§" + PROSE[:300])
    task = TASKS["text"]([tmp_path / "prose.txt"], batch=2, unroll=16, parts=(0.7, 0.15, 0.15))
    document, predictor = json.loads(json.dumps(bundle(task))), trained(task, 20)
    assert isinstance(task, ReadsManyPlaces)
    score, validation = task.score(predictor), task.validate(predictor)
    assert score.better == "lower"
    value, _ = task_data.text_loss(document, document["score"], predictor)
    loss, means = task_data.text_loss(document, document["validation"], predictor)
    best = sorted(means)[: math.ceil(document["validation"]["typical_share"] * len(means))]
    assert value == pytest.approx(score.value, rel=1e-6)
    assert document["score"]["chance"] == score.chance
    assert loss == pytest.approx(validation.loss, rel=1e-6)
    assert len(means) == 2, "the typical loss leaves out a stretch"
    assert len(best) == 2
    parts = "".join(document[part]["text"] for part in ("training", "validation", "score"))
    assert parts == PROSE + "\ufffd" + PROSE[:300], "the section sign is not in the training part"
    assert str(tmp_path) not in json.dumps(document), "no path leaves the machine"


@pytest.mark.parametrize("name", [*MEMORY, *LANGUAGES])
def test_training_strings_are_those_that_are_drawn(name: str) -> None:
    """Every string of the first batches can be drawn, and held-out strings cannot."""
    task = make(name)
    training = document_of(name)["training"]
    strings = set(training["strings"]["text"])
    assert isinstance(task, StringTask)
    drawn = {text for step in range(20) for text in task.draw(np.random.default_rng(step), 32)}
    if name in ("selective_counter", "dyck2", "dyck1", "parity"):
        assert len(drawn & strings) > 20, "both are samples of one distribution"
        assert name != "selective_counter" or not strings & set(task.evaluation())
    else:
        assert drawn <= strings


def test_training_weights_are_probabilities_of_n() -> None:
    task = TASKS["anbn"](longest=5, stop=0.5)
    training = bundle(task)["training"]
    assert training["strings"]["text"] == ["ab\n", "aabb\n", "aaabbb\n", "aaaabbbb\n", "aaaaabbbbb\n"]
    assert training["weights"] == pytest.approx(np.array([16, 8, 4, 2, 1]) / 31)


def test_allowed_targets_are_rows_of_the_score() -> None:
    task = TASKS["anbncn"](longest=4)
    assert isinstance(task, StringTask)
    document = bundle(task)
    training, rows = document["training"], document["score"]["rows"]
    batch = task.rows(training["strings"]["text"])
    assert training["targets"] == "likely"
    for k, codes in enumerate(training["strings"]["codes"]):
        likely = np.array([rows[ord(code) - task_data.FIRST_CODE]["likely"] for code in codes])
        assert np.array_equal(likely, batch.targets[k, : len(codes)])


@pytest.mark.parametrize("name", [*MEMORY, *LANGUAGES])
def test_default_bundle_is_written(name: str, tmp_path: Path) -> None:
    """None exceeds the bound, and each has the network and the recipe that the task recommends."""
    task = TASKS[name]()
    write_bundle(tmp_path / "task.json", task)
    document = json.loads((tmp_path / "task.json").read_text(encoding="utf-8"))
    assert document["suggested"]["network"] == recommended_network(task).to_json()
    assert document["suggested"]["recipe"]["batch"] == task.recommended.batch
    assert document["suggested"]["recipe"]["learning_rate"] == task.recommended.learning_rate


@pytest.mark.parametrize("name", ["counter", "selective_counter", "anbn"])
def test_bundle_is_repeatable(name: str) -> None:
    assert json.dumps(bundle(make(name))) == json.dumps(bundle(make(name)))


def test_bundle_of_other_tasks_is_refused() -> None:
    with pytest.raises(TrainingError) as error:
        bundle(TASKS["addition"]())
    assert error.value.code == "BUNDLE_TASK_UNSUPPORTED"


def test_bundle_too_large_is_refused(tmp_path: Path) -> None:
    text = "".join(map(chr, np.random.default_rng(0).integers(32, 3000, 100_000).tolist()))
    (tmp_path / "large.txt").write_text(text)
    with pytest.raises(TrainingError) as error:
        bundle(TASKS["text"]([tmp_path / "large.txt"]))
    assert error.value.code == "BUNDLE_TOO_LARGE"


def test_text_with_replacement_character_is_refused(tmp_path: Path) -> None:
    """Where U+FFFD is a symbol, a text could not say which of its characters are unknown."""
    (tmp_path / "text.txt").write_text("ab\ufffd" * 700 + "abc" * 100 + "§")
    task = TASKS["text"]([tmp_path / "text.txt"])
    with pytest.raises(TaskError) as error:
        bundle(task)
    assert error.value.code == "TEXT_DATA_REPLACEMENT"


# --- what must be remembered -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["counter", "selective_counter", "state_memoriser", "copy", *LANGUAGES])
def test_quantities_are_those_of_the_task(name: str) -> None:
    """Each value is what the task says of its string alone, and the strings rise in length."""
    task, remembered = make(name), document_of(name)["remembered"]
    assert isinstance(task, StringTask)
    strings = remembered["strings"]
    assert [len(string) for string in strings] == sorted(len(string) for string in strings)
    assert len(set(strings)) == len(strings) > 3
    assert set(strings) <= set(task.evaluation())
    assert sum(map(len, strings)) < 1300
    for quantity in remembered["quantities"]:
        values = [value for string in strings for value in task.quantities(string)[quantity["name"]].tolist()]
        assert quantity["values"] == values
        assert quantity["title"] == task.quantity_titles[quantity["name"]]
        assert quantity["count"] is not isinstance(values[0], bool)
        assert len(set(values)) > 1, "it changes"


def test_counter_remembers_the_bs_that_are_owed() -> None:
    """Compare with values by hand: an a adds one, a b takes one away."""
    remembered = document_of("counter")["remembered"]
    assert remembered["strings"][:3] == ["aXb\n", "aaXbb\n", "aaaXbbb\n"]
    assert remembered["quantities"][0]["values"][:17] == [1, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0]


def test_text_remembers_nothing_that_is_known(tmp_path: Path) -> None:
    (tmp_path / "prose.txt").write_text(PROSE, encoding="utf-8")
    assert bundle(TASKS["text"]([tmp_path / "prose.txt"]))["remembered"] is None
