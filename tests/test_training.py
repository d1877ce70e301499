"""Tests of training: it is repeatable, can be resumed, and ends when it should."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gatescope import TASKS, Network, Run, Settings, configure, create_run, engine, train
from gatescope.readout import classes
from gatescope.runs import HISTORY, SAMPLES
from gatescope.tasks import Batch, Copy, Score, Task
from gatescope.tasks.base.task import Validation
from gatescope.tasks.measures.text_score import StretchLosses
from gatescope.training import Loop, TrainingError, recommended_network

SHORT = dict(report_every=3, validate_every=7)
PROSE = "It was the best of times, it was the worst of times;\nit was (so to speak) the age of 'wisdom'.\n" * 12


def small_text(folder: Path) -> Task:
    file = folder / "prose.txt"
    file.write_text(PROSE)
    return TASKS["text"]([str(file)], batch=3, unroll=8)


def create(
    folder: Path, task: Task, name: str = "run", dropout: float = 0.0, cell: str = "lstm", **settings: Any
) -> Run:
    configuration = configure(task.vocabulary, cell, (6, 5), dropout=dropout)
    return create_run(folder / name, task, configuration, Settings(**{"steps": 25, **SHORT, **settings}))


def history_of(run: Run) -> list[dict[str, Any]]:
    """Return the records of history.jsonl without the time."""
    return [{k: v for k, v in record.items() if k != "seconds"} for record in run.read(HISTORY)]


def after(steps: int) -> Any:
    counter = itertools.count()
    return lambda: next(counter) >= steps


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.network()[0].state_dict()


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return set(a) == set(b) and all(torch.equal(value, b[name]) for name, value in a.items())


def test_same_seed_gives_same_losses_and_another_seed_others(tmp_path: Path) -> None:
    task = TASKS["counter"](batch=4)
    runs = [create(tmp_path, task, str(k), seed=seed, dropout=0.2) for k, seed in enumerate((1, 1, 2))]
    for run in runs:
        torch.rand(3)  # earlier draws must not matter
        train(run)
    assert history_of(runs[0]) == history_of(runs[1])
    assert equal(weights(runs[0]), weights(runs[1]))
    assert [r["loss"] for r in history_of(runs[0]) if "loss" in r] != [
        r["loss"] for r in history_of(runs[2]) if "loss" in r
    ]


@pytest.mark.parametrize(
    ("optimizer", "kind"), [("adam", "strings"), ("rmsprop", "strings"), ("sgd", "strings"), ("adam", "text")]
)
def test_resumed_training_equals_one_that_never_stopped(tmp_path: Path, optimizer: str, kind: str) -> None:
    task = small_text(tmp_path) if kind == "text" else TASKS["counter"](batch=4)
    settings: dict[str, Any] = dict(optimizer=optimizer, dropout=0.3, warmup=4, final_learning_rate=0.1)
    straight, halting = create(tmp_path, task, "straight", **settings), create(tmp_path, task, "halting", **settings)
    train(straight)
    assert kind == "strings" or any(0 < np.sum(task.batch(0, k).continues) < 3 for k in range(25)), "a stream restarts"
    for steps in (0, 5, 1, 9):  # also before the first update, and between reports and validations
        assert train(halting, stop=after(steps)).reason == "interrupted"
        torch.rand(5)
        assert halting.read(HISTORY)[-1]["reason"] == "interrupted"
    assert train(halting).step == 25
    assert history_of(halting) == history_of(straight)
    assert halting.read(SAMPLES) == straight.read(SAMPLES)
    assert equal(weights(halting), weights(straight))
    last, other = halting.last_checkpoint(), straight.last_checkpoint()
    assert last is not None
    assert other is not None
    assert equal(dict(last.arrays), dict(other.arrays))
    assert equal(dict(last.weights), dict(other.weights))


def test_killed_training_resumes_from_its_last_checkpoint(tmp_path: Path) -> None:
    task = small_text(tmp_path)
    straight, killed = create(tmp_path, task, "straight", dropout=0.3), create(tmp_path, task, "killed", dropout=0.3)
    train(straight)

    def die(record: dict[str, Any]) -> None:
        if record["step"] == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(killed, on_record=die)
    with (killed.path / HISTORY).open("a") as file:
        file.write('{"step": 13, "lo')
    assert killed.read(HISTORY)[-1]["step"] == 12
    train(killed)
    assert history_of(killed) == history_of(straight)
    assert killed.read(SAMPLES) == straight.read(SAMPLES)
    assert equal(weights(killed), weights(straight))


def test_complete_run_does_not_change(tmp_path: Path) -> None:
    run = create(tmp_path, TASKS["counter"](batch=4), steps=10)
    train(run)
    before, history = weights(run), history_of(run)
    assert train(run).step == 10
    assert history_of(run) == history
    assert equal(weights(run), before)
    assert train(run, steps=12).step == 12
    assert run.settings()["steps"] == 12


def test_recommended_settings_learn_the_counter(tmp_path: Path) -> None:
    outcome = train(create_run(tmp_path / "run", TASKS["counter"]()))
    assert outcome.reason == "solved"
    assert outcome.score is not None
    assert outcome.score.solved
    record = Run(tmp_path / "run").read(HISTORY)[-1]
    assert record["event"] == "end"
    assert record["score"]["value"] == 1.0


class Scripted:
    """The task counter, with given validation losses and scores."""

    def __init__(self, losses: list[float], solved: list[bool] | None = None) -> None:
        self._task = TASKS["counter"](batch=2)
        self.losses, self.solved = iter(losses), iter(solved or [])
        self.recommended = replace(self._task.recommended, score_every=1 if solved else 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def validation(self, _: Any) -> float:
        return next(self.losses)

    def score(self, _: Any) -> Score:
        solved = next(self.solved)
        return Score(float(solved), 0.1, solved, "")


def scripted(task: Scripted, **settings: Any) -> Loop:
    all_settings = Settings(**{"steps": 50, "report_every": 100, "validate_every": 1, **settings})
    return Loop(Network(configure(task.vocabulary, "elman", (2,))), task, all_settings)  # type: ignore[arg-type]


def records_of(training: Loop) -> Iterator[dict[str, Any]]:
    """Yield the records of a training, and call `is_best` for each validation as `train` does."""
    for record in training.records():
        if "validation_loss" in record:
            record["best"] = training.is_best(record)
        yield record


def test_early_stopping_honours_patience() -> None:
    records = list(records_of(scripted(Scripted([5, 4, 4.5, 3, 3.2, 3.1, 1, 1, 1]), patience=2)))
    assert records[-1]["reason"] == "no improvement"
    assert records[-1]["step"] == 6
    assert [r["best"] for r in records[:-1]] == [True, True, False, True, False, False]


class Stretches(Scripted):
    """A scripted task whose validation reads 20 stretches; the network gets stuck in the first of them."""

    def __init__(self, losses: list[float], stuck_from: int) -> None:
        super().__init__(losses)
        self.validations, self.stuck_from = 0, stuck_from

    def validate(self, _: Any) -> Validation:
        loss = next(self.losses)
        nats = np.full(20, loss)
        nats[0] = 6.0 if self.validations >= self.stuck_from else loss
        self.validations += 1
        losses = StretchLosses(nats, np.ones(20, int))
        return Validation(losses.mean, losses.typical)


def test_early_stopping_ignores_one_stuck_stretch() -> None:
    """The typical loss falls all the way, although a stuck stretch raises the mean from the third validation on."""
    losses = [2.0, 1.9, 1.85, 1.8, 1.78, 1.76]
    records = list(records_of(scripted(Stretches(losses, stuck_from=2), steps=6, patience=2)))
    assert [r["validation_loss"] > losses[1] for r in records[2:-1]] == [True] * 4
    assert [r["best"] for r in records[:-1]] == [True] * 6
    assert (records[-1]["reason"], records[-1]["step"]) == ("finished", 6)


def test_equal_validation_is_no_improvement() -> None:
    """A loss that repeats counts towards patience, or a network that is stuck would train for ever."""
    records = list(records_of(scripted(Scripted([5, 4, 4, 4, 3]), patience=2)))
    assert (records[-1]["reason"], records[-1]["step"]) == ("no improvement", 4)
    assert [r["best"] for r in records[:-1]] == [True, True, False, False]


def test_update_reads_the_batches_of_its_seed() -> None:
    """The seed of the settings decides the data, not only the weights and dropout."""
    task = TASKS["counter"](batch=2)
    sizes = {seed: sum(int(task.batch(seed, step).lengths.sum()) for step in range(3)) for seed in range(6)}
    assert len(set(sizes.values())) > 3
    for seed, symbols in sizes.items():
        training = Loop(Network(configure(task.vocabulary, "elman", (2,))), task, Settings(5, seed=seed))
        for _ in range(3):
            training.update()
        assert training.progress.symbols == symbols


def test_training_stops_after_two_solved_scores_in_a_row() -> None:
    solved = [False, True, False, True, True, True]
    training = scripted(Scripted([5, 4, 3, 2, 1.5, 1], solved), until_solved=True)
    records = list(records_of(training))
    assert (records[-1]["reason"], records[-1]["step"]) == ("solved", 5)
    # A better score wins whatever its loss; with equal scores the smaller loss wins.
    assert [r["best"] for r in records[:-1]] == [True, True, False, True, True]


def test_validations_come_early_and_then_regularly() -> None:
    settings = Settings(steps=10_000, validate_every=1000)
    assert [k for k in range(1, 3001) if settings.validates(k)] == [100, 200, 400, 800, 1000, 2000, 3000]
    assert [k for k in range(1, 200) if Settings(steps=1, validate_every=50).validates(k)] == [50, 100, 150]


@pytest.mark.parametrize(
    ("schedule", "middle"), [("cosine", 0.5 + 0.5 * 0.2), ("linear", 0.5 + 0.5 * 0.2), ("constant", 1.0)]
)
def test_learning_rate_follows_its_schedule(schedule: Any, middle: float) -> None:
    settings = Settings(steps=100, learning_rate=0.5, final_learning_rate=0.2, schedule=schedule, warmup=4)
    assert [settings.rate(k, 0.0) for k in range(5)] == [0.125, 0.25, 0.375, 0.5, 0.5]
    assert settings.rate(50, 0.5) == pytest.approx(0.5 * middle)
    assert settings.rate(99, 1.0) == pytest.approx(0.5 if schedule == "constant" else 0.1)
    assert settings.rate(200, 7.0) == settings.rate(99, 1.0)
    rates = [settings.rate(10, k / 20) for k in range(21)]
    assert rates == sorted(rates, reverse=True)
    assert Settings(steps=1).rate(0, 0.0) == 0.004


def test_cosine_schedule_is_not_linear() -> None:
    settings = Settings(steps=100, learning_rate=1.0)
    assert settings.rate(25, 0.25) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_gradients_are_clipped_to_their_norm() -> None:
    task = TASKS["counter"](batch=4)
    configuration = configure(task.vocabulary, "lstm", (4,))

    def step(clip: float) -> tuple[float, float]:
        training = Loop(Network(configuration), task, Settings(1, optimizer="sgd", learning_rate=1.0, clip=clip))
        before = torch.cat([value.detach().flatten().clone() for value in training.network.parameters()])
        _, norm = training.update()
        difference = torch.cat([value.detach().flatten() for value in training.network.parameters()]) - before
        return norm, float(difference.norm())

    norm, moved = step(1e9)
    assert moved == pytest.approx(norm, rel=1e-4)
    assert step(norm / 10) == (pytest.approx(norm), pytest.approx(norm / 10, rel=1e-4))


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_readout_decay_shrinks_only_the_readout(optimizer: Any) -> None:
    task = TASKS["counter"](batch=4)
    configuration = configure(task.vocabulary, "lstm", (4,))

    def after(decay: float) -> dict[str, torch.Tensor]:
        settings = Settings(1, optimizer=optimizer, learning_rate=0.5, readout_decay=decay)
        training = Loop(Network(configuration), task, settings)
        training.update()
        return training.network.state_dict()

    before, free, shrunk = Network(configuration).state_dict(), after(0), after(0.2)
    for name, values in free.items():
        expected = values - 0.5 * 0.2 * before[name] if name == "readout_weights" else values
        torch.testing.assert_close(shrunk[name], expected, rtol=1e-6, atol=1e-6)


def test_loss_of_distributions_is_their_cross_entropy() -> None:
    task = TASKS["anbncn"](batch=5, longest=9, targets="allowed")
    network = Network(configure(task.vocabulary, "gru", (4,)))
    batch = task.batch(0, 0)
    loss = 0.0
    for tokens, distributions in zip(batch.tokens, batch.targets, strict=True):
        ids = torch.from_numpy(tokens[tokens >= 0]).long().unsqueeze(1)
        targets = torch.from_numpy(distributions[: len(ids)])
        loss += float(torch.nn.functional.cross_entropy(network(ids).logits[:, 0], targets, reduction="sum").detach())
    record = next(Loop(network, task, Settings(5, report_every=1)).records())
    assert record["loss"] == pytest.approx(loss / int((batch.tokens >= 0).sum()), rel=1e-5)


def test_loss_and_gradient_are_means_over_targets() -> None:
    """The reference is -log p of every symbol after the first of each string, without padding."""
    task = TASKS["counter"](batch=5)
    network = Network(configure(task.vocabulary, "gru", (4,)))
    training = Loop(network, task, Settings(5, optimizer="sgd", learning_rate=0.1, clip=1e9, report_every=1))
    batch = task.batch(0, 0)
    total, count = torch.zeros(()), 0
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        length = int((tokens >= 0).sum())
        logits = network(torch.from_numpy(tokens[:length]).long().unsqueeze(1)).logits[:, 0]
        total = total - logits.log_softmax(1)[torch.arange(length), torch.from_numpy(targets[:length]).long()].sum()
        count += length
    gradients = torch.autograd.grad(total / count, list(network.parameters()))
    expected = [v.detach() - 0.1 * g for v, g in zip(network.parameters(), gradients, strict=True)]
    record = next(training.records())
    assert record["loss"] == pytest.approx(float(total.detach()) / count, rel=1e-5)
    assert record["symbols"] == count
    for value, updated in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(value.detach(), updated, rtol=1e-4, atol=1e-6)


def test_text_carries_its_state_without_gradient(tmp_path: Path) -> None:
    task = small_text(tmp_path)
    training = Loop(Network(configure(task.vocabulary, "lstm", (4,))), task, Settings(9, learning_rate=1e-12))
    assert not np.any(task.batch(0, 0).continues)
    assert np.all(task.batch(0, 1).continues)
    training.update()
    training.update()
    state = training.state
    assert state is not None
    assert not state[0]["c"].requires_grad
    both = np.concatenate([task.batch(0, 0).tokens, task.batch(0, 1).tokens], axis=1)
    whole = training.network(torch.from_numpy(both).long().t()).state
    torch.testing.assert_close(state[0]["c"], whole[0]["c"].detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("initial", [False, True])
def test_restarted_stream_reads_from_the_initial_state(tmp_path: Path, initial: bool) -> None:
    """The state of the restarted stream is that of its last chunk alone; every other state is carried."""
    file = tmp_path / "prose.txt"
    file.write_text(PROSE)
    task = TASKS["text"]([str(file)], batch=2, unroll=8)
    (step,) = [k for k in range(1, 64) if not np.all(task.batch(0, k).continues)]
    restarts = ~np.asarray(task.batch(0, step).continues)
    assert restarts.sum() == 1
    configuration = configure(task.vocabulary, "lstm", (4, 3))
    layers = tuple(replace(layer, initial=initial) for layer in configuration.layers)
    network = Network(replace(configuration, layers=layers))
    for values in network.initial.buffers():
        values.uniform_(-1, 1)
    training = Loop(network, task, Settings(99, learning_rate=1e-12))
    for _ in range(step + 1):
        training.update()
    chunk, state = task.batch(0, step).tokens, training.state
    read = np.concatenate([task.batch(0, k).tokens for k in range(step + 1)], axis=1)
    for row in (0, 1):
        text = chunk[row] if restarts[row] else read[row]
        whole = training.network(torch.from_numpy(text).long()[:, None]).state
        assert state is not None
        for layer, expected in zip(state, whole, strict=True):
            for name, value in expected.items():
                torch.testing.assert_close(layer[name][row], value[0].detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"learning_rate": 1e30}, {"learning_rate": 1e38, "optimizer": "sgd", "clip": 1e30}]
)
def test_nan_loss_fails_and_keeps_finite_weights(tmp_path: Path, settings: dict[str, Any]) -> None:
    run = create(tmp_path, TASKS["counter"](batch=4), cell="elman_relu", validate_every=1, steps=40, **settings)
    with pytest.raises(TrainingError, match="expected a finite number, got NaN"):
        train(run)
    end = run.read(HISTORY)[-1]
    assert (end["event"], end["reason"]) == ("end", "failed")
    assert "smaller learning rate" in end["problem"]
    assert all(bool(value.isfinite().all()) for value in weights(run).values())
    assert not run.is_training
    checkpoint = run.last_checkpoint()
    assert checkpoint is not None
    train(run, learning_rate=1e-3, optimizer="adam" if "optimizer" not in settings else "sgd", clip=1.0, steps=41)


def test_training_keeps_its_limit_of_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of this test advances one second at every call."""
    clock = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    run = create(tmp_path, TASKS["counter"](batch=4), steps=None, minutes=0.5, learning_rate=0.01)
    outcome = train(run)
    assert outcome.reason == "finished"
    assert 30 <= outcome.seconds <= 34
    rates = [r["learning_rate"] for r in run.read(HISTORY) if "learning_rate" in r]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.1 * rates[0]
    resumed = train(run, minutes=1.0)  # half of the time is already used
    assert 60 <= resumed.seconds <= 64


def test_run_has_the_best_weights_and_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create(tmp_path, TASKS["state_memoriser"](batch=4), steps=30, validate_every=10, learning_rate=0.05)
    task = type(run.task())
    losses = iter([0.5, 0.1, 0.9])
    monkeypatch.setattr(task, "validation", lambda *_: next(losses))
    monkeypatch.setattr(task, "score", lambda *_: Score(0.0, 0.1, False, ""))
    train(run)
    assert run.network()[1] == 20
    assert equal(weights(run), run.network(20)[0].state_dict())
    assert run.checkpoints() == [0, 10, 20, 30]


class FirstSymbol(Copy):
    """A many-to-one task: predict the first symbol after the last step."""

    def batch(self, seed: int, step: int) -> Batch:
        random = np.random.default_rng([seed, step])
        tokens = random.integers(0, 3, (16, 4)).astype(np.int32)
        lengths = random.integers(1, 5, 16)
        tokens[np.arange(4) >= lengths[:, None]] = -1
        targets = np.full((16, 4), -1, np.int32)
        targets[np.arange(16), lengths - 1] = tokens[:, 0]
        return Batch(tokens, targets)


def test_many_to_one_learns_from_the_last_step() -> None:
    configuration = configure(FirstSymbol().vocabulary, "lstm", (12,), readout=classes("abc", "last step"))
    training = Loop(Network(configuration), FirstSymbol(), Settings(150, learning_rate=0.02))
    for _ in range(150):
        training.update()
    batch = FirstSymbol().batch(99, 0)
    lengths = torch.from_numpy((batch.tokens >= 0).sum(1))
    logits = training.network(torch.from_numpy(batch.tokens).long().t(), lengths=lengths).logits
    assert logits.argmax(1).tolist() == batch.tokens[:, 0].tolist()


@pytest.mark.parametrize(
    "change",
    [
        dict(steps=None),
        dict(steps=0),
        dict(minutes=-1.0),
        dict(learning_rate=0.0),
        dict(learning_rate=math.nan),
        dict(clip=math.inf),
        dict(report_every=0),
        dict(validate_every=0),
        dict(patience=0),
        dict(seed=-1),
        dict(warmup=-1),
        dict(readout_decay=-0.1),
        dict(readout_decay=math.nan),
        dict(readout_decay=300.0),
        dict(batches="mine"),
        dict(final_learning_rate=1.5),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TrainingError) as refused:
        Settings(**{"steps": 5, **change})
    name = next(iter(change)).replace("_", " ")
    assert name in str(refused.value)


def test_recommended_settings_take_changes() -> None:
    task = TASKS["counter"]()
    recommended = Settings.recommended(task)
    assert recommended.steps == task.recommended.steps
    assert recommended.until_solved
    assert Settings.recommended(task, steps=7, seed=None).steps == 7
    assert Settings.recommended(task, minutes=2.0).steps is None
    assert Settings(**asdict(recommended)) == recommended


def test_run_with_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    run = create(tmp_path, TASKS["counter"](batch=2))
    file = run.path / "training.json"
    file.write_text(file.read_text().replace('"warmup"', '"wormup"'))
    with pytest.raises(TrainingError, match="wormup"):
        train(run)


@pytest.mark.parametrize("missing", ["random", "optimizer.0.exp_avg"])
def test_incomplete_checkpoint_is_refused(tmp_path: Path, missing: str) -> None:
    run = create(tmp_path, small_text(tmp_path))
    train(run, stop=after(9))
    (path,) = run.path.glob("checkpoints/*/optimizer.safetensors")
    arrays = load_file(path)
    del arrays[missing]
    save_file(arrays, path)
    history = history_of(run)
    with pytest.raises(TrainingError, match=r"expected everything that training needs to resume.*from_best=True"):
        train(run)
    assert history_of(run) == history


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm"])
def test_engines_train_alike(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """30 steps in float32: the first loss to 1e-6, the others to 1e-4, because rounding errors accumulate."""
    task = TASKS["counter"](batch=8)

    def losses() -> list[float]:
        network = Network(configure(task.vocabulary, cell, (12, 9)))
        records = Loop(network, task, Settings(30, learning_rate=0.01, report_every=1, validate_every=30)).records()
        return [record["loss"] for record in records if "loss" in record]

    native = losses()
    plain_calls: list[str] = []
    monkeypatch.setattr(
        engine, "unserved", lambda cell, *_: plain_calls.append(cell.name) or "this test compares the engines"
    )
    plain = losses()
    assert len(plain_calls) >= 60
    assert len(plain) == 30
    assert native != plain
    assert native[0] == pytest.approx(plain[0], rel=1e-6)
    assert native == pytest.approx(plain, rel=1e-4)
    assert plain[-1] < 0.9 * plain[0]


def test_batches_of_the_page_need_a_task_of_the_page() -> None:
    task = TASKS["addition"]()
    network = Network(recommended_network(task))
    with pytest.raises(TrainingError, match=r"a memory task, a formal language or a text.*got 'addition'"):
        Loop(network, task, Settings(steps=1, batches="page"))
