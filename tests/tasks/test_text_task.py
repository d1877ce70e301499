"""The task text: its parts, batches, scores and files."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope.tasks import TASKS, TaskError, Text, load
from gatescope.tasks.base.task import Predict
from gatescope.tasks.data.corpus import read, standard_library
from gatescope.tasks.measures.text_score import StretchLosses, stretches
from tests.tasks import oracles

LINES = "".join(f"def f{k}(a, b={k}):\n    return '{chr(97 + k % 26)}' + str([a] * {k})\n\n" for k in range(200))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text(LINES, encoding="utf-8")
    return path


def written(folder: Path, text: str, name: str = "t.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def decoded(task: Text, ids: np.ndarray) -> str:
    return task.vocabulary.decode(ids)


def predictor_of(task: Text, text: str) -> Predict:
    """Return a predictor whose loss is 0.25 at every symbol of `text`, which contains every sequence that it reads."""
    ids, size = task.vocabulary.encode(text), task.vocabulary.size

    def predict(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        results = []
        for sequence in sequences:
            pattern, whole = sequence.tobytes(), ids.tobytes()
            start = whole.index(pattern) // 4
            rows = np.full((len(sequence), size), math.log(1e-9))
            following = ids[start + 1 : start + 1 + len(sequence)]
            known = following < size
            rows[np.flatnonzero(known), following[known]] = -0.25
            results.append(rows)
        return results

    return predict


def test_parts_are_contiguous_and_together_the_text(corpus: Path) -> None:
    task = Text([corpus], parts=(0.5, 0.2, 0.3))
    parts = task.data()
    assert decoded(task, parts.training) == LINES[: round(len(LINES) * 0.5)]
    joined = decoded(task, np.concatenate([parts.training, parts.validation, parts.test]))
    assert joined == LINES
    assert task.sizes == tuple(map(len, (parts.training, parts.validation, parts.test)))
    assert task.characters == sum(task.sizes) == len(LINES)
    assert task.vocabulary.symbols == tuple(sorted(set(LINES[: task.sizes[0]])))


def test_unknown_characters_are_not_targets(tmp_path: Path) -> None:
    text = "ab" * 450 + "aba漢b" * 10 + "abc漢b" * 10
    task = Text([written(tmp_path, text)])
    assert task.vocabulary.symbols == ("a", "b")
    parts = task.data()
    assert (parts.validation == task.vocabulary.unknown).sum() == 10
    score = task.score(predictor_of(task, text[-50:]))
    assert score.value == pytest.approx(0.25)
    assert score.details["unknown"] == 20
    assert score.details["targets"] == 50 - 1 - 20
    assert "the test part of 50 characters; 20 unknown characters left out" in score.text
    assert task.validation(predictor_of(task, text[950 - 50 : 950])) == pytest.approx(0.25)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**40),
    batch=st.integers(1, 9),
    unroll=st.integers(1, 40),
    length=st.integers(410, 900),
    bytes_=st.booleans(),
)
def test_streams_go_on_and_an_epoch_reads_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory, seed: int, batch: int, unroll: int, length: int, bytes_: bool
) -> None:
    text = "".join(chr(0x4E00 + k) for k in range(length))  # every character once: its place can be read off
    path = written(tmp_path_factory.mktemp("ring"), text)
    task = Text([path], bytes=bytes_, batch=batch, unroll=unroll)
    ring = task.data().training
    if not bytes_:
        assert (ring == np.arange(len(ring))).all()
    steps = (len(ring) - 1) // (batch * unroll)
    for epoch in range(2):
        rows = [task.batch(seed, epoch * steps + k) for k in range(steps)]
        assert not np.any(rows[0].continues)
        assert all(row.tokens.shape == row.targets.shape == (batch, unroll) for row in rows)
        assert all(row.tokens.dtype == row.targets.dtype == np.int32 for row in rows)
        tokens = np.concatenate([row.tokens for row in rows], axis=1)
        targets = np.concatenate([row.targets for row in rows], axis=1)
        if bytes_:
            whole = bytes(ring.tolist()) * 2
            assert all(bytes(row.tolist()) in whole for row in tokens)
        else:
            assert len(np.unique(tokens)) == tokens.size, "nothing is read twice"
            following = (tokens + 1) % len(ring)
            assert (targets == np.where(following == 0, -1, following)).all(), "no loss where the ring closes"
            assert (tokens[:, 1:] == following[:, :-1]).all(), "rows go on where they ended"
            assert (tokens[1:, 0] == following[:-1, -1]).all(), "streams lie side by side"
            assert len(ring) - tokens.size <= batch * unroll, "what is left over"
    assert (
        task.batch(seed, 3).tokens == Text([path], bytes=bytes_, batch=batch, unroll=unroll).batch(seed, 3).tokens
    ).all()


def test_seeds_and_epochs_start_at_different_places(corpus: Path) -> None:
    task = Text([corpus])
    steps = (len(task.data().training) - 1) // (task.recommended.batch * (task.recommended.unroll or 0))
    starts = {tuple(task.batch(seed, epoch * steps).tokens[0]) for seed in range(5) for epoch in range(5)}
    assert len(starts) > 20


def test_bytes_are_cut_between_characters(tmp_path: Path) -> None:
    text = "é漢😀a" * 123 + "é"
    task = Text([written(tmp_path, text)], bytes=True)
    parts = task.data()
    joined = b""
    for part, size in zip((parts.training, parts.validation, parts.test), task.sizes, strict=True):
        assert part.dtype == np.uint8
        assert len(bytes(part).decode()) == size
        joined += bytes(part)
    assert joined.decode() == text
    assert task.vocabulary.bytes
    assert "nats per byte" in task.score(oracles.uniform(task)).text


@pytest.mark.parametrize("bytes_", [False, True])
def test_uniform_guess_is_worse_than_chance(corpus: Path, bytes_: bool) -> None:
    task = Text([corpus], bytes=bytes_)
    guess = task.score(oracles.uniform(task))
    assert guess.value == pytest.approx(math.log(task.vocabulary.size))
    assert guess.value > guess.chance
    assert guess.solved is None
    test = LINES[-task.sizes[2] :]
    assert task.score(predictor_of(task, test)).value == pytest.approx(0.25)
    assert guess.text.startswith(f"{guess.value:.3f} nats per {'byte' if bytes_ else 'character'} (")
    assert f"({guess.value / math.log(2):.3f} bits) on the test part of {len(test):,} " in guess.text


def test_chance_is_the_loss_of_the_training_frequencies(tmp_path: Path) -> None:
    text = "aaab" * 225 + "ab" * 50
    task = Text([written(tmp_path, text)])
    expected = -(25 * math.log(226 / 902) + 24 * math.log(676 / 902)) / 49  # one is added to every count
    assert task.score(oracles.uniform(task)).chance == pytest.approx(expected)


def test_streams_restart_every_64_steps_one_at_a_time(tmp_path: Path) -> None:
    """Every stream restarts once in 64 steps; of 64 streams, one restarts at each step."""
    task = Text([written(tmp_path, LINES * 14)], batch=64, unroll=2)
    steps = (len(task.data().training) - 1) // (64 * 2)
    assert steps > 2 * 64
    continues = np.array([task.batch(3, step).continues for step in range(steps)])
    assert continues.shape == (steps, 64)
    assert not continues[0].any()
    assert ((~continues[1:]).sum(1) == 1).all()
    for row in continues[1:].T:
        assert set(np.diff(np.flatnonzero(~row))) == {64}
    few = Text([written(tmp_path, LINES * 14)], batch=3, unroll=2)
    restarts = ~np.array([few.batch(3, step).continues for step in range(1, 65)])
    assert restarts.sum(0).tolist() == [1, 1, 1]
    assert restarts.sum(1).max() == 1


def predictor_of_losses(task: Text, nats: Sequence[float]) -> Predict:
    """Return a predictor whose loss is `nats[k]` at every symbol of the k-th sequence; the rows are not normalised."""

    def predict(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        sizes = [(len(ids), task.vocabulary.size) for ids in sequences]
        return [np.full(size, -loss) for size, loss in zip(sizes, nats, strict=True)]

    return predict


def test_test_part_is_scored_in_stretches(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every symbol but the first is a target once, read 100 symbols or more after an initial state."""
    task = Text([corpus], parts=(0.4, 0.1, 0.5))
    ids = task.data().test
    read_ids: list[np.ndarray] = []

    def predict(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        read_ids.extend(sequences)
        return list(oracles.uniform(task)(sequences))

    score = task.score(predict)
    count = len(ids) // 200
    assert score.details["stretches"] == len(read_ids) == count > 10
    assert score.details["targets"] == len(ids) - 1
    edges = [len(ids) * k // count for k in range(count + 1)]
    for sequence, first, last in zip(read_ids, edges[:-1], edges[1:], strict=True):
        assert (sequence == ids[max(0, first - 100) : last - 1]).all()
    assert f"in {count} stretches, each read from the initial state 100 characters before it" in score.text
    read_ids.clear()
    monkeypatch.setattr("gatescope.tasks.measures.text_score.MAX_LOG_PROBABILITIES", 700 * task.vocabulary.size)
    assert task.score(predict) == score
    assert len(read_ids) == count
    monkeypatch.setattr("gatescope.tasks.measures.text_score.MAX_TEST_SYMBOLS", 150)
    score = task.score(predict)
    assert f"the first 150 characters of the test part of {len(ids):,} characters" in score.text
    assert "stretches" not in score.text


def test_score_shows_stretch_in_which_network_is_stuck(corpus: Path) -> None:
    """The stuck stretch counts as much as any other, wherever it is, and the sentence counts it."""
    task = Text([corpus], parts=(0.4, 0.1, 0.5))
    count = task.score(oracles.uniform(task)).details["stretches"]
    fine = task.score(predictor_of_losses(task, [1.0] * count))
    assert fine.value == pytest.approx(1.0)
    assert fine.details["worse_than_chance"] == 0
    assert "worse" not in fine.text
    for stuck in (0, 3, count - 1):
        nats = [6.0 if k == stuck else 1.0 for k in range(count)]
        score = task.score(predictor_of_losses(task, nats))
        assert score.value == pytest.approx(1 + 5 / count, rel=0.02)
        assert score.details["worse_than_chance"] == 1
        assert f"worse than chance in 1 of {count} stretches" in score.text


def test_validation_reads_stretches_of_the_whole_part(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Text([corpus], parts=(0.4, 0.5, 0.1))
    whole = task.data().validation
    read_ids: list[np.ndarray] = []

    def predict(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        read_ids.extend(sequences)
        return list(oracles.uniform(task)(sequences))

    assert task.validation(predict) == pytest.approx(math.log(task.vocabulary.size))
    count = len(whole) // 200
    assert len(read_ids) == count
    assert sum(map(len, read_ids)) == len(whole) - 1 + 99 * (count - 1)
    read_ids.clear()
    monkeypatch.setattr("gatescope.tasks.measures.text_score.MAX_VALIDATION_SYMBOLS", 50 * count)
    assert task.validation(predict) == pytest.approx(math.log(task.vocabulary.size))
    edges = [len(whole) * k // count for k in range(count)]
    for sequence, first in zip(read_ids, edges, strict=True):
        assert (sequence == whole[max(0, first - 100) : first + 49]).all()


def test_validation_without_the_worst_tenth_is_typical(corpus: Path) -> None:
    """A stuck stretch changes the mean, not the typical loss; many stuck stretches change both."""
    task = Text([corpus], parts=(0.4, 0.5, 0.1))
    count = len(task.data().validation) // 200
    stuck_once = task.validate(predictor_of_losses(task, [6.0] + [1.0] * (count - 1)))
    assert stuck_once.loss == pytest.approx(1 + 5 / count, rel=0.02)
    assert stuck_once.typical == pytest.approx(1.0)
    stuck_often = task.validate(predictor_of_losses(task, [6.0] * (count // 2) + [1.0] * (count - count // 2)))
    assert stuck_often.typical > 2


def test_typical_loss_drops_the_worst_mean_not_the_sum() -> None:
    """Nine stretches have 100 targets of 1 nat each; the tenth has one target of 5 nats, and is the worst."""
    nats, targets = np.array([100.0] * 9 + [5.0]), np.array([100] * 9 + [1])
    assert StretchLosses(nats, targets).typical == pytest.approx(1.0, abs=1e-9)
    assert StretchLosses(nats, targets).mean == pytest.approx(905 / 901, abs=1e-9)


@given(st.integers(1, 3_000_000), st.one_of(st.none(), st.integers(2, 100_000)))
def test_stretches_are_nearly_equal_and_cover_a_text(symbols: int, most: int | None) -> None:
    bounds = stretches(symbols, most)
    assert bounds[0][0] == 0
    lengths = [last - first for first, last in bounds]
    assert min(lengths) >= 1
    if most is None:
        assert sum(lengths) == symbols
        assert [last for _, last in bounds[:-1]] == [first for first, _ in bounds[1:]]
        assert max(lengths) - min(lengths) <= 1
        assert max(lengths) < 4000
    else:
        assert sum(lengths) <= max(most, 2 * len(bounds))
        assert bounds == [(a, a + n) for (a, _), n in zip(stretches(symbols), lengths, strict=True)]
    if symbols >= 200 * 100:
        assert len(bounds) >= 100


def test_task_is_equal_after_json_without_the_corpus(corpus: Path) -> None:
    task = Text([corpus], batch=4, unroll=8, parts=(0.8, 0.1, 0.1))
    data = json.loads(json.dumps(task.to_json()))
    loaded = load(data)
    assert loaded.to_json() == task.to_json()
    assert loaded.recommended == task.recommended
    assert (loaded.batch(7, 11).tokens == task.batch(7, 11).tokens).all()
    assert loaded.score(oracles.uniform(task)) == task.score(oracles.uniform(task))

    corpus.write_text(LINES.replace("f7", "g7"))
    changed = load(data)
    assert changed.vocabulary == task.vocabulary
    assert changed.examples() == task.examples()
    message = rf"corpus\.txt: expected the data .* trained on \({len(LINES):,} characters\), got data that have changed"
    for call in (
        lambda t: t.batch(0, 0),
        lambda t: t.score(oracles.uniform(t)),
        lambda t: t.validation(oracles.uniform(t)),
    ):
        with pytest.raises(TaskError, match=message):
            call(changed)
    corpus.unlink()
    missing = load(data)
    assert missing.examples() == task.examples()
    with pytest.raises(TaskError, match=r"cannot be read again\. .*corpus.txt: expected a file or folder, got nothing"):
        missing.batch(0, 0)


@pytest.mark.parametrize("key", ["paths", "parts", "sha256", "vocabulary", "examples", "batch"])
@pytest.mark.parametrize("value", ["gone", 0, [3], {"a": 1}])
def test_damaged_descriptions_are_refused(corpus: Path, key: str, value: object) -> None:
    data = Text([corpus]).to_json()
    if value == "gone":
        del data[key]
    else:
        data[key] = value
    with pytest.raises(
        TaskError, match=r"task\.json of the task 'text': expected (the key|the file that gatescope wrote)"
    ):
        load(data)


def test_relative_paths_are_kept_from_the_root(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(corpus.parent)
    data = Text(["corpus.txt"]).to_json()
    monkeypatch.chdir("/")
    assert data["paths"] == [str(corpus)]
    assert load(data).batch(0, 0)


def test_default_corpus_is_the_standard_library() -> None:
    task = TASKS["text"]()
    assert isinstance(task, Text)
    files = standard_library()
    assert [path.name for path in files] == sorted(path.name for path in files)
    assert "argparse.py" in {path.name for path in files}
    whole = "".join(path.read_bytes().decode() for path in files)
    assert task.characters == len(whole) > 1_000_000
    parts = task.data()
    assert decoded(task, parts.training) == whole[: len(parts.training)]
    assert task.to_json()["paths"] is None
    assert len(task.examples()) == 3
    tail = whole[-task.sizes[2] :]
    for passage in task.examples():
        assert passage in tail, "nothing that was trained on"
        assert 200 <= len(passage) <= 400
        assert passage.endswith("\n")
        assert tail[tail.index(passage) - 1] == "\n"
        assert set("()") <= set(passage)
        assert "\n    " in passage
        assert {"'", '"'} & set(passage)


def test_examples_of_other_texts(tmp_path: Path) -> None:
    for text in ("漢字" * 5000, "x" * 300, LINES[:400], "a\n" * 4000):
        task = Text([written(tmp_path, text)])
        assert task.examples()
        assert all(passage in text and 0 < len(passage) <= 400 for passage in task.examples())


def test_short_text_shrinks_batch_and_unroll_with_a_note(tmp_path: Path) -> None:
    usual = Text.settings
    small = Text([written(tmp_path, LINES[:3000])])
    unroll = small.recommended.unroll or 0
    assert small.recommended.batch < usual.batch
    assert small.recommended.batch * unroll * 4 < 2700, "state is carried over some borders"
    assert f"reads {small.recommended.batch} streams of {unroll} symbols" in small.notes[0]
    large = Text([written(tmp_path, LINES * 8)])
    assert large.recommended == usual
    assert large.notes == []


@given(st.integers(1, 400))
def test_error_names_the_length_that_is_enough(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    folder = tmp_path_factory.mktemp("short")
    needed = 60  # three characters in each of the parts of a twentieth, as the error shows
    path = written(folder, "a" * length)
    if length < needed:
        with pytest.raises(
            TaskError, match=rf"expected at least {needed} characters to read 1 stream of .*, got {length}\."
        ):
            Text([path])
    else:
        task = Text([path])
        assert (task.batch(0, 0).targets == 0).any()
        assert math.isfinite(task.validation(oracles.uniform(task)))
        assert math.isfinite(task.score(oracles.uniform(task)).chance)


def test_chosen_batch_and_unroll_do_not_shrink(tmp_path: Path) -> None:
    path = written(tmp_path, "a" * 1000)
    assert Text([path], unroll=64).recommended.unroll == 64
    assert Text([path], batch=8, unroll=100).recommended.batch == 8
    with pytest.raises(
        TaskError, match=r"at least 1,113 characters to read 10 streams of 100 at a step, .* smaller batch"
    ):
        Text([path], batch=10, unroll=100)
    with pytest.raises(TaskError, match="Setting batch: expected 1 or more, got 0"):
        Text([path], batch=0)
    for parts in ((0.5, 0.5, 0.0), (0.5, 0.2, 0.2)):
        with pytest.raises(TaskError, match="three positive shares that sum to 1"):
            Text([path], parts=parts)


def test_folder_is_read_in_order_without_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    written(tmp_path / ".git", "no")
    written(tmp_path, "no", ".hidden")
    written(tmp_path, "1", "a.txt")
    written(tmp_path, "3é", "b/z.txt")
    written(tmp_path, "2", "b/deep/x")
    written(tmp_path, "", "empty")
    (tmp_path / "c.bin").write_bytes(b"PK\0\1")
    (tmp_path / "d.txt").write_bytes("é".encode("latin-1"))
    (tmp_path / "e.txt").write_bytes(b"a" * 70_000 + b"\xff")
    written(tmp_path, "\ufeff4\r\n", "f.txt")
    corpus = read([tmp_path])
    assert corpus.text == "123é4\r\n"
    assert {path.name: reason for path, reason in corpus.skipped} == {
        "c.bin": "Binary, with a zero byte at 2",
        "d.txt": "Not UTF-8 at byte 0",
        "e.txt": "Not UTF-8 at byte 70,000",
    }
    assert read([tmp_path / "b", tmp_path / "a.txt", str(tmp_path / "*.txt")]).text == "123é4\r\n"
    assert read([str(tmp_path / "**" / "?.txt")]).text == "13é4\r\n"
    assert read([tmp_path / ".hidden"]).text == "no"
    notes = Text([tmp_path, written(tmp_path, LINES, "long")]).notes
    assert "d.txt: Not UTF-8 at byte 0" in notes[0]


def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    written(inside, "1", "a.txt")
    written(outside, "2", "b.txt")
    (inside / "again").symlink_to(inside)
    (inside / "to").symlink_to(outside)
    (outside / "back").symlink_to(inside)
    (inside / "z.txt").symlink_to(inside / "a.txt")
    (inside / "dangling").symlink_to(tmp_path / "nowhere")
    assert read([inside]).text == "12"
    assert read([inside, inside / "z.txt", str(inside / "**")]).text == "12"


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "expected a file, a folder or a pattern .*, got none"),
        (["nothing"], "nothing: expected a file or folder, got nothing. Check the path"),
        (["no*.txt"], r"no\*\.txt: expected a pattern that matches a file"),
        (["empty"], "empty: expected text to learn from, got 1 empty file. Give"),
        (["empty", "empty2"], "expected text to learn from, got 2 empty files"),
        (["folder"], r"folder: expected files of text, got none \(hidden files do not count\)"),
        (["binary"], r"got 1 file that is not text \(the first: .*x.bin, Binary, with a zero byte at 0\)"),
        (["latin.txt"], r"latin.txt: expected UTF-8 text, got the byte 0xe9 at offset 3. It looks like cp1252"),
        (["pipe"], "pipe: expected a file or folder, got something else"),
        (["short"], r"Text: expected at least \d+ characters to read 1 stream of 16 at a step, got 5\."),
    ],
)
def test_unusable_paths_get_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "empty2"):
        written(tmp_path, "", name)
    written(tmp_path, "short", "short")
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").mkdir()
    (tmp_path / "binary" / "x.bin").write_bytes(b"\0\1")
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TaskError, match=message) as caught:
        Text(paths)
    assert "\n" not in str(caught.value)


def test_too_large_corpus_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a" * 1001)
    with pytest.raises(TaskError, match=r"expected at most 1,000 bytes together, got 1,001\. Give fewer"):
        Text([path], largest=1000)
    assert Text([path], largest=1001).characters == 1001
    (tmp_path / "large.bin").write_bytes(b"\0" * 5000)
    assert Text([tmp_path], largest=1001).characters == 1001, "what is skipped does not count"
