"""Subjects of studies: the network, text and features of a run, and the tables saved with it."""

from pathlib import Path

import pytest

from gatescope import TASKS, Run, Settings, configure, create_run, train
from gatescope.features import FeatureError, pattern
from gatescope.studies import Table, features_of, load, save, subject


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Run:
    task = TASKS["counter"]()
    run = create_run(
        tmp_path_factory.mktemp("runs") / "counter",
        task,
        configure(task.vocabulary, "lstm", [4]),
        Settings.recommended(task, steps=2, until_solved=False),
    )
    train(run)
    return run


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("code")
    (folder / "module.py").write_text("def add(a, b):  # sum\n    return a + b\n\n\n" * 60)
    task = TASKS["text"]([folder / "module.py"])
    run = create_run(
        folder / "run",
        task,
        configure(task.vocabulary, "gru", [3]),
        Settings.recommended(task, steps=2, until_solved=False),
    )
    train(run)
    return run


def test_features_of_a_task_include_those_of_its_text(counter: Run) -> None:
    about = subject(counter, characters=200)
    with about.trace() as trace:
        names = {feature.name for feature in features_of(about, trace)}
    assert {"task.owed", "task.writing", "character.is", "counts.a"} <= names
    assert about.layers == ["layer0"]


def test_features_of_a_program_include_its_tokens(code: Run) -> None:
    about = subject(code, more=[pattern("sum", "a.b")])
    assert about.text == code.task().held_out(100_000)
    with about.trace() as trace:
        names = {feature.name for feature in features_of(about, trace)}
        assert set(trace["layer0"]) == set(about.network.configuration.layers[0].cell.signals)  # no drives
    assert {"tokens.comment", "expression.sum", "indentation.depth"} <= names
    assert not any(name.startswith("task.") for name in names)
    with pytest.raises(FeatureError, match="pyhton"):
        subject(code, lexer="pyhton")


def test_saved_table_is_dropped_when_weights_change(counter: Run) -> None:
    table = Table.of([{"neuron": 1, "score": 0.5}], {"neuron": "neuron", "score": "score"}, of="it")
    assert load(counter, "labels") is None
    save(counter, "labels", table)
    loaded = load(counter, "labels")
    assert loaded is not None
    assert list(loaded) == list(table)
    weights, step = counter.network()
    counter.save_weights({name: value + 1 for name, value in weights.state_dict().items()}, step)
    assert load(counter, "labels") is None


@pytest.mark.parametrize("content", ["", "[", "[]", '{"weights": "x"}', '{"weights": 3, "table": {}}'])
def test_load_ignores_a_damaged_table(counter: Run, content: str) -> None:
    folder = Path(counter.path) / "studies"
    folder.mkdir(exist_ok=True)
    (folder / "damaged.json").write_text(content)
    assert load(counter, "damaged") is None


def test_large_trace_is_on_disk_only_inside_the_block(code: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    about = subject(code, characters=300)
    with about.trace() as memory:
        small = memory["layer0"]["h"][0]
    monkeypatch.setattr("gatescope.recording.MAX_MEMORY_BYTES", 0)
    with about.trace() as trace:
        array = trace["layer0"]["h"]
        place = Path(array._root)
        assert place.is_dir()
        assert (array[0] == small).all()
    assert not place.exists()
