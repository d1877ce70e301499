"""Tests of resuming a run: nothing that was trained or recorded is lost."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gatescope import TASKS, Network, Run, Settings, configure, create_run, train
from gatescope.runs import HISTORY, SAMPLES, WEIGHTS
from gatescope.tasks import Text
from gatescope.training import Loop, TrainingError
from gatescope.training.training_progress import Progress

TASK = TASKS["counter"](batch=2)
PROSE = "It was the best of times, it was the worst of times;\n" * 30


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "trained"
    settings = Settings(8, report_every=2, validate_every=4, schedule="constant")
    train(create_run(path, TASK, configure(TASK.vocabulary, "lstm", (3,)), settings))
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    return Run(shutil.copytree(trained, tmp_path / "copy"))


def content(run: Run) -> dict[str, bytes]:
    """Return the bytes of every file of a run, except its lock."""
    files = (entry for entry in run.path.rglob("*") if entry.is_file() and entry.name != "training.lock")
    return {str(entry.relative_to(run.path)): entry.read_bytes() for entry in files}


def without_checkpoints(run: Run) -> None:
    shutil.rmtree(run.path / "checkpoints")


def without_progress(run: Run) -> None:
    for file in run.path.glob("checkpoints/*/progress.json"):
        file.unlink()


def with_the_history_alone(run: Run) -> None:
    without_checkpoints(run)
    (run.path / WEIGHTS).unlink()


def with_weights_of_checkpoints_alone(run: Run) -> None:
    without_progress(run)
    for file in (WEIGHTS, HISTORY, SAMPLES):
        (run.path / file).unlink(missing_ok=True)


def with_an_old_checkpoint(run: Run) -> None:
    """Replace checkpoints/ by an earlier copy of it."""
    last = run.path / "checkpoints/step-00000008"
    progress = json.loads((last / "progress.json").read_text()) | {"step": 0}
    (run.path / "checkpoints/step-00000000/progress.json").write_text(json.dumps(progress))
    shutil.copy(last / "optimizer.safetensors", run.path / "checkpoints/step-00000000")
    shutil.rmtree(last)


@pytest.mark.parametrize(
    "damage",
    [
        without_checkpoints,
        without_progress,
        with_the_history_alone,
        with_weights_of_checkpoints_alone,
        with_an_old_checkpoint,
    ],
)
def test_train_without_the_last_checkpoint_changes_nothing(run: Run, damage: Any) -> None:
    """A training that would start again in a trained run is refused, and every byte stays."""
    damage(run)
    before = content(run)
    with pytest.raises(TrainingError, match="expected a checkpoint") as refused:
        train(run, steps=20)
    assert ("from_best=True" in str(refused.value)) == (run.path / WEIGHTS).exists()
    assert content(run) == before


@pytest.mark.parametrize("damage", [without_checkpoints, without_progress, with_an_old_checkpoint, lambda run: None])
def test_train_from_best_continues_history_and_steps(run: Run, damage: Any) -> None:
    """All records stay, a record marks the fresh optimizer, and the count of steps continues."""
    damage(run)
    before, samples = run.read(HISTORY), run.read(SAMPLES)
    best = run.network()[0].state_dict()
    outcome = train(run, from_best=True, steps=16, stop=lambda: True)
    assert (outcome.reason, outcome.step) == ("interrupted", 8)
    assert all(torch.equal(value, best[name]) for name, value in run.network()[0].state_dict().items())
    assert train(run, from_best=True).step == 16
    history = run.read(HISTORY)
    assert history[: len(before)] == before
    assert run.read(SAMPLES)[: len(samples)] == samples
    restarts = [record for record in history if record.get("event") == "restart"]
    assert [record["step"] for record in restarts] == [8, 8]
    assert [record["step"] for record in history[len(before) :] if "loss" in record] == [10, 12, 14, 16]
    train(run, steps=18)  # resumes from the checkpoint, and keeps the records of the restarts
    assert [record for record in run.read(HISTORY) if record.get("event") == "restart"] == restarts


def test_train_from_best_never_loses_better_weights(run: Run) -> None:
    """The best weights are validated before the first update, so worse ones do not replace them."""
    best = run.network()[0].state_dict()
    with suppress(TrainingError):  # the training may diverge
        train(run, from_best=True, steps=12, learning_rate=3.0, clip=100.0)
    after = run.network()[0].state_dict()
    assert all(torch.equal(after[name], value) for name, value in best.items())


def test_train_of_adopted_weights_changes_nothing(run: Run) -> None:
    """Weights of step 0 that are not the initial weights come from elsewhere, and stay."""
    without_checkpoints(run)
    (run.path / HISTORY).unlink()
    run.save_weights(run.network()[0].state_dict(), 0)
    before = content(run)
    with pytest.raises(TrainingError, match=WEIGHTS):
        train(run)
    assert content(run) == before


def test_train_killed_before_its_first_checkpoint_starts_again(tmp_path: Path) -> None:
    """A kill between the initial weights and the first checkpoint leaves only the weights."""
    run = create_run(tmp_path / "run", TASK, configure(TASK.vocabulary, "lstm", (3,)), Settings(4))
    run.save_weights(Network(run.configuration(), 0).state_dict(), 0)
    assert train(run).step == 4


def test_remove_records_after_keeps_other_lines(run: Run) -> None:
    """Resuming removes the records of steps that are trained again, and no line that is not a record."""
    lines = (run.path / HISTORY).read_bytes().splitlines(keepends=True)
    strange = [b'{"step": "abc"}\n', b"\xff\xfe\n", b'{"step": 3, "text": "a\xe2\x80\xa8b"}\n']
    (run.path / HISTORY).write_bytes(b"".join([*lines[:2], *strange, *lines[2:], b'{"step": 9, "lo']))
    run.remove_records_after(8)
    assert (run.path / HISTORY).read_bytes() == b"".join([*lines[:2], *strange, *lines[2:-1]])


# --- another text ----------------------------------------------------------------------------------------------------


@pytest.fixture
def prose(tmp_path: Path) -> Run:
    (tmp_path / "prose.txt").write_text(PROSE)
    task = Text([tmp_path / "prose.txt"], batch=2, unroll=16)
    run = create_run(tmp_path / "prose", task, configure(task.vocabulary, "gru", (4,)), Settings(6, validate_every=3))
    train(run)
    return run


def test_create_run_from_another_run_keeps_its_weights(prose: Run, tmp_path: Path) -> None:
    """The new run starts with the old best weights, and the old run keeps every byte."""
    (tmp_path / "other.txt").write_text("the times it was of worst\n" * 60)
    vocabulary, before = prose.configuration().vocabulary, content(prose)
    task = Text([tmp_path / "other.txt"], vocabulary=vocabulary, batch=2, unroll=16)
    created = create_run(tmp_path / "new", task, settings=Settings(4, validate_every=2), start=prose)
    old = prose.network()[0].state_dict()
    assert all(torch.equal(value, old[name]) for name, value in created.network()[0].state_dict().items())
    assert train(created).step == 4
    assert created.read(HISTORY)[0] == {
        "step": 0,
        "symbols": 0,
        "seconds": 0.0,
        "event": "start",
        "from": "prose",
        "weights_step": prose.network()[1],
    }
    assert content(prose) == before
    assert created.task().vocabulary == vocabulary


def test_create_run_from_another_run_names_what_differs(prose: Run, tmp_path: Path) -> None:
    """The error names symbols that the network does not have, and no run is created."""
    (tmp_path / "other.txt").write_text("Übung macht den Meister §\n" * 60)
    with pytest.raises(ValueError, match=r"got also 'M', 'c', 'd'"):
        Text([tmp_path / "other.txt"], vocabulary=prose.configuration().vocabulary)
    with pytest.raises(TrainingError, match=r"Symbols: expected the [0-9]+ of the network, got"):
        create_run(tmp_path / "new", Text([tmp_path / "other.txt"]), start=prose)
    with pytest.raises(TrainingError, match="End mark"):
        create_run(tmp_path / "new", TASK, start=prose)
    assert not (tmp_path / "new").exists()


# --- divergence ------------------------------------------------------------------------------------------------------


class ScriptedLosses:
    """The task counter, with given validation losses."""

    def __init__(self, losses: list[float]) -> None:
        self._task, self._losses = TASKS["counter"](batch=2), iter(losses)
        self.recommended = replace(self._task.recommended, score_every=0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def validation(self, _: Any) -> float:
        return next(self._losses)


def training_of(losses: list[float], training_loss: float | None, steps: int = 50) -> Loop:
    """Return a training with given validation losses and, if not None, a given training loss."""
    task = ScriptedLosses(losses)
    network = Network(configure(task.vocabulary, "elman", (2,)))
    training = Loop(network, task, Settings(steps, report_every=100, validate_every=1))  # type: ignore[arg-type]
    if training_loss is not None:
        update = training.update

        def scripted_update() -> tuple[float, float]:
            result = update()
            training.progress.nats = training_loss * training.progress.targets
            return result

        training.update = scripted_update
    return training


def steps_of_best(training: Loop) -> list[int]:
    """Run a training; return the steps at which the weights were the best so far."""
    return [record["step"] for record in training.records() if "validation_loss" in record and training.is_best(record)]


def test_training_that_diverges_stops_and_keeps_the_best() -> None:
    """Three validations in a row above 2 log V end a training with advice, if the training loss is as high."""
    training = training_of([1.2, 900.0, 1.3, 9.0, 8.0, 7.0, 1.0], 50.0)
    with pytest.raises(TrainingError, match=r"diverged at step 6.*smaller learning rate than 0\.004.*--from-best"):
        steps_of_best(training)
    first = training_of([900.0, 900.0, 900.0], 50.0)
    with pytest.raises(TrainingError, match="diverged at step 3"):
        list(first.records())
    assert first.progress.best is None


def test_training_that_overfits_is_not_stopped() -> None:
    """A high validation loss with a small training loss is overfitting, which early stopping handles."""
    training = training_of([1.2, 90.0, 91.0, 92.0, 93.0], None, steps=5)
    assert steps_of_best(training) == [1]


def test_training_fails_if_its_last_validation_diverged() -> None:
    """A single validation is enough if it is the last one; resuming fails in the same way."""
    training = training_of([1.2, 3714.0], 3000.0, steps=2)
    with pytest.raises(TrainingError, match="diverged at step 2"):
        steps_of_best(training)
    again = training_of([1.2], None, steps=2)
    again.restore(training.checkpoint())
    with pytest.raises(TrainingError, match="diverged at step 2"):
        list(again.records())


def test_uninformed_loss_of_numbers_is_that_of_zero() -> None:
    """For numbers it is the loss of 0 on the first batches, here by NumPy; for symbols it is log V."""
    task = TASKS["addition"](batch=4)
    network = Network(configure(task.vocabulary, "elman", (2,), readout=task.readout))
    targets = np.concatenate([task.batch(0, step).targets.ravel() for step in range(8)])
    expected = float(np.nanmean(targets.astype(np.float64) ** 2))
    assert Loop(network, task, Settings(5)).uninformed_loss == pytest.approx(expected, rel=1e-5)
    symbols = Network(configure(TASK.vocabulary, "elman", (2,)))
    assert Loop(symbols, TASK, Settings(5)).uninformed_loss == math.log(TASK.vocabulary.size)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 0.5),
        ("seed", True),
        ("steps", 2.5),
        ("steps", "5"),
        ("minutes", "1"),
        ("optimizer", ["adam"]),
        ("schedule", None),
        ("learning_rate", None),
        ("clip", "1"),
        ("warmup", 1.5),
        ("report_every", False),
        ("patience", 0.5),
        ("until_solved", 1),
    ],
)
def test_settings_of_wrong_types_are_refused(run: Run, name: str, value: Any) -> None:
    """A setting of the wrong type is refused before anything in the run changes."""
    file = run.path / "training.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))
    before = content(run)
    with pytest.raises(TrainingError, match=name.replace("_", " ")):
        train(run)
    assert content(run) == before


def test_progress_with_a_misspelt_optional_field_is_refused() -> None:
    """A misspelt field is unknown, even if the field that it replaces is optional."""
    data = asdict(Progress())
    data["diverg2d_in_a_row"] = data.pop("diverged_in_a_row")
    with pytest.raises(TrainingError, match="diverg2d_in_a_row"):
        Progress.from_json(data)
