"""Laws of the task tagging where it reads frames, and of networks that learn it."""

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
from gatescope.tasks.tagging.kinds import find
from gatescope.training import Loop, Settings, recommended_network

RANDOM = np.random.default_rng(11)
LENGTHS = (40, 25, 60, 33, 51, 47, 29, 38, 44, 56, 31, 42)


def written(folder: Path, values: list[np.ndarray], labels: list[list[str]], name: str = "film") -> tuple[Path, Path]:
    """An archive of sequences, and the file of their labels beside it."""
    path = folder / f"{name}.npz"
    arrays: dict[str, Any] = {f"part{k:02}": each for k, each in enumerate(values)}
    np.savez(path, **arrays)
    beside = path.with_suffix(".txt")
    beside.write_text("\n".join("".join(f"{label}\n" for label in each) for each in labels), "utf-8")
    return path, beside


def film(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> tuple[list[np.ndarray], list[list[str]]]:
    """A light that is switched by pulses: "on" from one pulse to the next. The last number never changes."""
    random = np.random.default_rng(seed)
    values, labels = [], []
    for length in lengths:
        pulse = random.random(length) < 0.15
        state = np.cumsum(pulse) % 2
        noise = random.normal(0, 1, length)
        values.append(np.stack([5.0 + 3 * pulse, noise, np.full(length, 7.0)], 1).astype(np.float32))
        labels.append(["on" if each else "off" for each in state])
    return values, labels


def test_the_network_reads_scaled_numbers_and_the_texts_are_of_these(tmp_path: Path) -> None:
    values, labels = film()
    path, _ = written(tmp_path, values, labels)
    task = Tagging(path, names=["light", "noise", "rest"])
    assert task.vocabulary.unit == "number"
    assert task.vocabulary.symbols == ("light", "noise", "rest")
    assert task.recommended.embedding is None
    training = np.concatenate(task.data().coded["training"].sequences).astype(np.float64)
    assert training.mean(0) == pytest.approx(np.zeros(3), abs=1e-6)
    assert training.std(0) == pytest.approx([1, 1, 0], abs=1e-6)
    raw = np.concatenate(task.data().raw["training"].raw).astype(np.float64)
    one = values[3]
    expected = (one.astype(np.float64) - raw.mean(0)) / np.where(raw.std(0) > 1e-6, raw.std(0), 1)
    assert task.vocabulary.encode(task.text_of(one)) == pytest.approx(expected, abs=1e-6)
    assert len(task.vocabulary.split(task.text_of(one, values[4]))) == 2
    assert Tagging(path).vocabulary.symbols == ("x0", "x1", "x2")


def test_batches_hold_pieces_with_nan_behind_them(tmp_path: Path) -> None:
    values, labels = film()
    path, beside = written(tmp_path, values, labels)
    task = Tagging(path, validation=path, test=path, labels=beside, longest=20, batch=4)
    total = 0
    for step in range(-(-sum(-(-length // 20) for length in LENGTHS) // 4)):
        batch = task.batch(1, step)
        assert batch.tokens.dtype == np.float32
        assert batch.targets.dtype == np.int32
        for row, targets, length in zip(batch.tokens, batch.targets, batch.lengths, strict=True):
            assert np.isnan(row[length:]).all()
            assert (targets[length:] == -1).all()
            place = find(row[:length], task.data().coded["training"].sequences)
            assert place is not None
            number, start = place
            assert [task.classes[k] for k in targets[:length]] == labels[number][start : start + length]
            total += int(length)
    assert total == sum(LENGTHS), "an epoch has every frame once"


def test_sequences_are_held_out_whole_or_where_there_are_few_cut(tmp_path: Path) -> None:
    values, labels = film()
    path, _ = written(tmp_path, values, labels)
    task = Tagging(path)
    assert sorted(len(raw) for part in task.data().raw.values() for raw in part.raw) == sorted(LENGTHS)
    assert [count for count, _ in task.sizes.values()] == [10, 1, 1]
    one, _ = film((500,))
    np.save(tmp_path / "one.npy", one[0])
    (tmp_path / "one.txt").write_text("\n".join(film((500,))[1][0]), "utf-8")
    task = Tagging(tmp_path / "one.npy", parts=(0.6, 0.1, 0.3))
    assert task.sizes == {"training": [1, 300], "validation": [1, 50], "test": [1, 150]}
    assert np.array_equal(task.data().raw["test"].raw[0], one[0][350:])


def test_answers_are_known_of_any_part_of_a_sequence(tmp_path: Path) -> None:
    values, labels = film()
    path, _ = written(tmp_path, values, labels)
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
    held = task.vocabulary.encode(task.held_out(100))
    assert np.array_equal(held, task.data().coded["test"].sequences[0][:20])


def test_quantities_of_frames(tmp_path: Path) -> None:
    values, labels = film()
    path, _ = written(tmp_path, values, labels)
    task = Tagging(path)
    found = task.quantities(task.text_of(values[2]))
    since = 0
    for step, label in enumerate(labels[2]):
        since = since + 1 if step and label == labels[2][step - 1] else 0
        assert found["since_change"][step] == since
        assert found["unusual"][step] == (not found[f"usual_{label}"][step])
    assert found["unusual"].any(), "a frame does not show whether the light is on"
    assert (found["usual_on"] != found["usual_off"]).all()
    assert {*found} == {"usual_on", "usual_off", "unusual", "since_change"}
    other = task.quantities(task.text_of(RANDOM.normal(0, 9, (7, 3)).astype(np.float32)))
    assert (other["usual_on"] != other["usual_off"]).all()
    assert not other["unusual"].any(), "of frames that are not known nothing else can be said"
    assert all(len(values) == 0 for values in task.quantities("").values())


def test_the_baseline_is_the_linear_discriminant_of_each_frame(tmp_path: Path) -> None:
    centres = {"a": (0, 0, 0), "b": (2, 0, 1), "c": (0, 3, 1)}
    random = np.random.default_rng(3)
    labels = [list(random.choice(["a", "a", "b", "c"], 50)) for _ in range(12)]
    values = [np.array([random.normal(centres[label], 1) for label in each], np.float32) for each in labels]
    path, _ = written(tmp_path, values, labels)
    task = Tagging(path)
    coded = task.data().coded
    frames, tags = np.concatenate(coded["training"].sequences).astype(float), np.concatenate(coded["training"].targets)
    means = [frames[tags == k].mean(0) for k in range(3)]
    covariance = sum((frames[tags == k] - means[k]).T @ (frames[tags == k] - means[k]) for k in range(3)) / len(tags)
    covariance += 1e-3 * np.trace(covariance) / 3 * np.eye(3)
    test, expected = np.concatenate(coded["test"].sequences).astype(float), np.concatenate(coded["test"].targets)
    density = np.stack(
        [multivariate_normal(means[k], covariance).logpdf(test) + np.log((tags == k).mean()) for k in range(3)], 1
    )
    score = task.score(lambda sequences: [np.zeros((len(each), 3)) for each in sequences])
    assert score.details["baseline"] == pytest.approx((density.argmax(1) == expected).mean())
    assert 0.6 < score.details["baseline"] < 1
    assert score.value == pytest.approx((expected == 0).mean())
    assert "50 frames of the test part" in score.text
    assert "linear discriminants of each frame alone" in score.text


def test_task_json_gives_the_same_task(tmp_path: Path) -> None:
    path, beside = written(tmp_path, *film())
    task = Tagging(path, names=["light", "noise", "rest"])
    again = load(json.loads(json.dumps(task.to_json(), allow_nan=False)))
    assert isinstance(again, Tagging)
    assert again.to_json() == task.to_json()
    assert np.array_equal(again.batch(0, 3).tokens, task.batch(0, 3).tokens, equal_nan=True)
    beside.unlink()
    gone = load(task.to_json())
    assert isinstance(gone, Tagging)
    assert gone.answers(gone.examples()[0]) is not None
    assert gone.text_of(film()[0][0]) == task.text_of(film()[0][0])
    data: dict[str, Any] = {**task.to_json(), "deviation": [1.0, 0.0, 1.0]}
    with pytest.raises(TaskError, match="no scale of the numbers"):
        load(data)


def test_every_wrong_frame_and_label_is_named(tmp_path: Path) -> None:
    values, labels = film()
    good, _ = written(tmp_path, values, labels)
    values[2][5, 1] = np.nan
    values[7][0, 0] = np.inf
    bad, _ = written(tmp_path, values, labels, "bad")
    short, _ = written(tmp_path, film()[0], [*labels[:-1], labels[-1][:-2]], "short")
    with pytest.raises(TaskError) as caught:
        Tagging(bad, test=short)
    message = str(caught.value)
    assert "sequence part02, frame 5, number 1: nan" in message
    assert "sequence part07, frame 0, number 0: inf" in message
    assert "short.txt" in message
    assert "40 labels begin here, and the sequence part11 has 42 frames" in message
    wide = written(tmp_path, [np.ones((20, 2), np.float32)], [["on", "off"] * 10], "wide")[0]
    with pytest.raises(TaskError, match=r"All frames must have as many numbers; there are 3 in .* 2 in .*wide"):
        Tagging(good, test=wide)
    other = written(tmp_path, [film()[0][0]], [["dim"] * 40], "other")[0]
    with pytest.raises(TaskError, match="line 1: the label 'dim' is none of the classes"):
        Tagging(good, test=other)
    with pytest.raises(TaskError, match="need as many different names"):
        Tagging(good, names=["a", "b"])
    with pytest.raises(TaskError, match=r"lonely\.txt: expected a file, got nothing"):
        np.save(tmp_path / "lonely.npy", np.ones((9, 2)))
        Tagging(tmp_path / "lonely.npy")


@given(data=st.data(), width=st.integers(1, 3))
def test_frames_are_found_where_a_loop_finds_them(data: st.DataObject, width: int) -> None:
    def frames(least: int) -> st.SearchStrategy[np.ndarray]:
        rows = st.lists(st.lists(st.integers(0, 1), min_size=width, max_size=width), min_size=least, max_size=30)
        return rows.map(lambda r: np.array(r, np.float32).reshape(-1, width))

    among = data.draw(st.lists(frames(0), max_size=4))
    sought = data.draw(st.one_of(frames(0), *[st.just(each[1:4]) for each in among]))
    expected = None
    for number, sequence in enumerate(among):
        for step in range(len(sequence) - len(sought) + 1):
            same = all((sequence[step + k] == sought[k]).all() for k in range(len(sought)))
            if same and len(sought) and expected is None:
                expected = (number, step)
    assert find(sought, among) == expected


def shifted(tmp_path: Path, ahead: int) -> Tagging:
    """Labels that say what was read some steps before (or, of a negative number, will be) read, with noise beside."""
    random = np.random.default_rng(1)
    values, labels = [], []
    for length in random.integers(12, 30, 80):
        seen = random.integers(0, 2, length)
        values.append(np.stack([seen + random.normal(0, 0.05, length), random.normal(0, 1, length)], 1))
        labels.append(["yes" if each else "no" for each in np.roll(seen, ahead)])
        labels[-1][: max(0, ahead)] = ["no"] * max(0, ahead)
        labels[-1][len(seen) + min(0, ahead) :] = ["no"] * max(0, -ahead)
    return Tagging(written(tmp_path, values, labels)[0], batch=16)


@pytest.mark.parametrize(
    ("ahead", "both_ways", "solved"), [(2, False, True), (2, True, True), (-2, False, False), (-2, True, True)]
)
def test_the_past_is_learnt_forward_and_the_future_in_both_directions_only(
    tmp_path: Path, ahead: int, both_ways: bool, solved: bool
) -> None:
    torch.set_num_threads(1)
    task = shifted(tmp_path, ahead)
    configuration = recommended_network(task, "gru", [12], both_ways=both_ways, dropout=0.0)
    loop = Loop(Network(configuration, 0), task, Settings.recommended(task, steps=120, learning_rate=0.03, seed=0))
    list(loop.records())
    score = task.score(partial(predict, loop.network))
    if solved:
        assert score.value > 0.98
        assert score.details["baseline"] < 0.8
    else:
        assert score.value < 0.8, "what is not read yet cannot be known"
    text = task.held_out(200)
    trace = record(loop.network, text, answers=task.answers)
    assert check_with(loop.network, trace).holds
    sequence = task.data().coded["test"].sequences[0]
    assert np.array_equal(trace.steps["input"][0, : len(sequence)], sequence[: trace.lengths[0]])
    right = trace.steps["top_token"][0, : trace.lengths[0], 0] == trace.steps["target"][0, : trace.lengths[0]]
    if solved:
        assert right.mean() > 0.9
