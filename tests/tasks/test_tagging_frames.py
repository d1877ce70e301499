"""Tests of the task tagging on frames, and of networks that learn it."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from gatescope.network import Network, predict
from gatescope.recording import check_with, record
from gatescope.tasks import Tagging, TaskError, load
from gatescope.tasks.tagging.kinds import find_frames
from gatescope.training import Loop, Settings, recommended_network

RANDOM = np.random.default_rng(11)
LENGTHS = (40, 25, 60, 33, 51, 47, 29, 38, 44, 56, 31, 42)


def write(folder: Path, values: list[np.ndarray], labels: list[list[str]], name: str = "film") -> tuple[Path, Path]:
    """Write an archive of sequences, and the file of their labels beside it."""
    path = folder / f"{name}.npz"
    arrays: dict[str, Any] = {f"part{k:02}": sequence for k, sequence in enumerate(values)}
    np.savez(path, **arrays)
    beside = path.with_suffix(".txt")
    beside.write_text("\n".join("".join(f"{label}\n" for label in of_sequence) for of_sequence in labels), "utf-8")
    return path, beside


def film(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> tuple[list[np.ndarray], list[list[str]]]:
    """Return frames of a light that pulses switch on and off, and its state. The last number never changes."""
    random = np.random.default_rng(seed)
    values, labels = [], []
    for length in lengths:
        pulse = random.random(length) < 0.15
        state = np.cumsum(pulse) % 2
        noise = random.normal(0, 1, length)
        values.append(np.stack([5.0 + 3 * pulse, noise, np.full(length, 7.0)], 1).astype(np.float32))
        labels.append(["on" if is_on else "off" for is_on in state])
    return values, labels


def test_frames_are_read_as_scaled_numbers(tmp_path: Path) -> None:
    values, labels = film()
    path, _ = write(tmp_path, values, labels)
    task = Tagging(path, names=["light", "noise", "rest"])
    assert task.vocabulary.unit == "number"
    assert task.vocabulary.symbols == ("light", "noise", "rest")
    assert task.recommended.embedding is None
    training = np.concatenate(task.data().encoded["training"].sequences).astype(np.float64)
    assert training.mean(0) == pytest.approx(np.zeros(3), abs=1e-6)
    assert training.std(0) == pytest.approx([1, 1, 0], abs=1e-6)
    raw = np.concatenate(task.data().raw["training"].raw).astype(np.float64)
    sequence = values[3]
    expected = (sequence.astype(np.float64) - raw.mean(0)) / np.where(raw.std(0) > 1e-6, raw.std(0), 1)
    assert task.vocabulary.encode(task.text_of(sequence)) == pytest.approx(expected, abs=1e-6)
    assert len(task.vocabulary.split(task.text_of(sequence, values[4]))) == 2
    assert Tagging(path).vocabulary.symbols == ("x0", "x1", "x2")


def test_batches_have_every_frame_once_padded_with_nan(tmp_path: Path) -> None:
    values, labels = film()
    path, beside = write(tmp_path, values, labels)
    task = Tagging(path, validation=path, test=path, labels=beside, longest=20, batch=4)
    total = 0
    for step in range(-(-sum(-(-length // 20) for length in LENGTHS) // 4)):
        batch = task.batch(1, step)
        assert batch.tokens.dtype == np.float32
        assert batch.targets.dtype == np.int32
        for row, targets, length in zip(batch.tokens, batch.targets, batch.lengths, strict=True):
            assert np.isnan(row[length:]).all()
            assert (targets[length:] == -1).all()
            place = find_frames(row[:length], task.data().encoded["training"].sequences)
            assert place is not None
            number, start = place
            assert [task.classes[k] for k in targets[:length]] == labels[number][start : start + length]
            total += int(length)
    assert total == sum(LENGTHS), "an epoch has every frame once"


def test_parts_are_whole_sequences_or_pieces_of_few(tmp_path: Path) -> None:
    values, labels = film()
    path, _ = write(tmp_path, values, labels)
    task = Tagging(path)
    assert sorted(len(raw) for part in task.data().raw.values() for raw in part.raw) == sorted(LENGTHS)
    assert [count for count, _ in task.sizes.values()] == [10, 1, 1]
    single, _ = film((500,))
    np.save(tmp_path / "one.npy", single[0])
    (tmp_path / "one.txt").write_text("\n".join(film((500,))[1][0]), "utf-8")
    task = Tagging(tmp_path / "one.npy", parts=(0.6, 0.1, 0.3))
    assert task.sizes == {"training": [1, 300], "validation": [1, 50], "test": [1, 150]}
    assert np.array_equal(task.data().raw["test"].raw[0], single[0][350:])


def test_answers_are_known_for_any_part_of_a_sequence(tmp_path: Path) -> None:
    values, labels = film()
    path, _ = write(tmp_path, values, labels)
    task = Tagging(path)
    for number, begin, end in ((0, 0, 40), (4, 7, 31), (9, 50, 56)):
        answers = task.answers(task.text_of(values[number][begin:end]))
        assert answers is not None
        assert [task.classes[k] for k in answers] == labels[number][begin:end]
    assert task.answers(task.text_of(np.zeros((4, 3), np.float32))) is None
    assert task.answers("") is None
    for text in task.examples():
        answers = task.answers(text)
        assert answers is not None
        assert len(answers) == len(task.vocabulary.encode(text))
    held_out = task.vocabulary.encode(task.held_out(100))
    assert np.array_equal(held_out, task.data().encoded["test"].sequences[0][:20])


def test_quantities_of_frames_equal_a_plain_loop(tmp_path: Path) -> None:
    values, labels = film()
    path, _ = write(tmp_path, values, labels)
    task = Tagging(path)
    quantities = task.quantities(task.text_of(values[2]))
    since = 0
    for step, label in enumerate(labels[2]):
        since = since + 1 if step and label == labels[2][step - 1] else 0
        assert quantities["since_change"][step] == since
        assert quantities["unusual"][step] == (not quantities[f"usual_{label}"][step])
    assert quantities["unusual"].any(), "a frame does not show whether the light is on"
    assert (quantities["usual_on"] != quantities["usual_off"]).all()
    assert {*quantities} == {"usual_on", "usual_off", "unusual", "since_change"}
    other = task.quantities(task.text_of(RANDOM.normal(0, 9, (7, 3)).astype(np.float32)))
    assert (other["usual_on"] != other["usual_off"]).all()
    assert not other["unusual"].any(), "unknown frames have the labels of the baseline"
    assert all(len(values) == 0 for values in task.quantities("").values())


def test_baseline_of_frames_is_the_linear_discriminant(tmp_path: Path) -> None:
    centres = {"a": (0, 0, 0), "b": (2, 0, 1), "c": (0, 3, 1)}
    random = np.random.default_rng(3)
    labels = [list(random.choice(["a", "a", "b", "c"], 50)) for _ in range(12)]
    values = [
        np.array([random.normal(centres[label], 1) for label in of_sequence], np.float32) for of_sequence in labels
    ]
    path, _ = write(tmp_path, values, labels)
    task = Tagging(path)
    encoded = task.data().encoded
    frames, tags = (
        np.concatenate(encoded["training"].sequences).astype(float),
        np.concatenate(encoded["training"].targets),
    )
    means = [frames[tags == k].mean(0) for k in range(3)]
    covariance = sum((frames[tags == k] - means[k]).T @ (frames[tags == k] - means[k]) for k in range(3)) / len(tags)
    covariance += 1e-3 * np.trace(covariance) / 3 * np.eye(3)
    test, expected = np.concatenate(encoded["test"].sequences).astype(float), np.concatenate(encoded["test"].targets)
    density = np.stack(
        [multivariate_normal(means[k], covariance).logpdf(test) + np.log((tags == k).mean()) for k in range(3)], 1
    )
    score = task.score(lambda sequences: [np.zeros((len(frames), 3)) for frames in sequences])
    assert score.details["baseline"] == pytest.approx((density.argmax(1) == expected).mean())
    assert 0.6 < score.details["baseline"] < 1
    assert score.value == pytest.approx((expected == 0).mean())
    assert "50 frames of the test part" in score.text
    assert "linear discriminants of each frame alone" in score.text


def test_json_round_trip_gives_the_same_task(tmp_path: Path) -> None:
    path, beside = write(tmp_path, *film())
    task = Tagging(path, names=["light", "noise", "rest"])
    loaded = load(json.loads(json.dumps(task.to_json(), allow_nan=False)))
    assert isinstance(loaded, Tagging)
    assert loaded.to_json() == task.to_json()
    assert np.array_equal(loaded.batch(0, 3).tokens, task.batch(0, 3).tokens, equal_nan=True)
    beside.unlink()
    gone = load(task.to_json())
    assert isinstance(gone, Tagging)
    assert gone.answers(gone.examples()[0]) is not None
    assert gone.text_of(film()[0][0]) == task.text_of(film()[0][0])
    data: dict[str, Any] = {**task.to_json(), "deviation": [1.0, 0.0, 1.0]}
    with pytest.raises(TaskError, match="Scale of the frames: expected 3 finite numbers"):
        load(data)


def test_wrong_frames_and_labels_are_listed_at_once(tmp_path: Path) -> None:
    values, labels = film()
    good, _ = write(tmp_path, values, labels)
    values[2][5, 1] = np.nan
    values[7][0, 0] = np.inf
    bad, _ = write(tmp_path, values, labels, "bad")
    short, _ = write(tmp_path, film()[0], [*labels[:-1], labels[-1][:-2]], "short")
    with pytest.raises(TaskError) as caught:
        Tagging(bad, test=short)
    message = str(caught.value)
    assert "got nan in sequence part02, frame 5, number 1" in message
    assert "got inf in sequence part07, frame 0, number 0" in message
    assert "short.txt" in message
    assert "Expected 42 labels from here on, as the sequence part11 has frames, got 40" in message
    wide = write(tmp_path, [np.ones((20, 2), np.float32)], [["on", "off"] * 10], "wide")[0]
    with pytest.raises(TaskError, match=r"same number of numbers in every frame, got 3 in .* 2 in .*wide"):
        Tagging(good, test=wide)
    other = write(tmp_path, [film()[0][0]], [["dim"] * 40], "other")[0]
    with pytest.raises(TaskError, match="Line 1: Expected one of the labels off, on, got 'dim'"):
        Tagging(good, test=other)
    with pytest.raises(TaskError, match="names: expected 3 different names"):
        Tagging(good, names=["a", "b"])
    with pytest.raises(TaskError, match=r"lonely\.txt: expected a file, got nothing"):
        np.save(tmp_path / "lonely.npy", np.ones((9, 2)))
        Tagging(tmp_path / "lonely.npy")


@given(data=st.data(), width=st.integers(1, 3))
def test_find_frames_equals_a_plain_loop(data: st.DataObject, width: int) -> None:
    def frames(least: int) -> st.SearchStrategy[np.ndarray]:
        rows = st.lists(st.lists(st.integers(0, 1), min_size=width, max_size=width), min_size=least, max_size=30)
        return rows.map(lambda r: np.array(r, np.float32).reshape(-1, width))

    sequences = data.draw(st.lists(frames(0), max_size=4))
    sought = data.draw(st.one_of(frames(0), *[st.just(sequence[1:4]) for sequence in sequences]))
    expected = None
    for number, sequence in enumerate(sequences):
        for step in range(len(sequence) - len(sought) + 1):
            same = all((sequence[step + k] == sought[k]).all() for k in range(len(sought)))
            if same and len(sought) and expected is None:
                expected = (number, step)
    assert find_frames(sought, sequences) == expected


def delayed(tmp_path: Path, delay: int) -> Tagging:
    """Return a task whose labels are the input some steps before (negative: after), beside a number of noise."""
    random = np.random.default_rng(1)
    values, labels = [], []
    for length in random.integers(12, 30, 80):
        bits = random.integers(0, 2, length)
        values.append(np.stack([bits + random.normal(0, 0.05, length), random.normal(0, 1, length)], 1))
        labels.append(["yes" if bit else "no" for bit in np.roll(bits, delay)])
        labels[-1][: max(0, delay)] = ["no"] * max(0, delay)
        labels[-1][len(bits) + min(0, delay) :] = ["no"] * max(0, -delay)
    return Tagging(write(tmp_path, values, labels)[0], batch=16)


@pytest.mark.parametrize(
    ("delay", "both_ways", "solved"), [(2, False, True), (2, True, True), (-2, False, False), (-2, True, True)]
)
def test_future_labels_need_both_directions(tmp_path: Path, delay: int, both_ways: bool, solved: bool) -> None:
    torch.set_num_threads(1)
    task = delayed(tmp_path, delay)
    configuration = recommended_network(task, "gru", [12], both_ways=both_ways, dropout=0.0)
    loop = Loop(Network(configuration, 0), task, Settings.recommended(task, steps=120, learning_rate=0.03, seed=0))
    list(loop.records())
    score = task.score(partial(predict, loop.network))
    if solved:
        assert score.value > 0.98
        assert score.details["baseline"] < 0.8
    else:
        assert score.value < 0.8, "a forward network has not read the label"
    text = task.held_out(200)
    trace = record(loop.network, text, answers=task.answers)
    assert check_with(loop.network, trace).holds
    sequence = task.data().encoded["test"].sequences[0]
    assert np.array_equal(trace.steps["input"][0, : len(sequence)], sequence[: trace.lengths[0]])
    right = trace.steps["top_token"][0, : trace.lengths[0], 0] == trace.steps["target"][0, : trace.lengths[0]]
    if solved:
        assert right.mean() > 0.9
