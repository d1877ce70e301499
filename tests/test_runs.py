"""Tests of the run directory: it is whole at any moment, and errors name damaged files."""

from __future__ import annotations

import errno
import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from filelock import lock_descriptor
from safetensors.torch import load, save_file

import gatescope.files
from gatescope import TASKS, Network, Run, Settings, configure, create_run, find_runs, studies, train
from gatescope.errors import GatescopeError
from gatescope.explorer.gallery import Gallery
from gatescope.files import write_bytes, write_json
from gatescope.runs import HISTORY, SAMPLES, WEIGHTS, Checkpoint, RunError
from gatescope.runs.records import RecordError, parse
from gatescope.studies import Table

TASK = TASKS["counter"](batch=2)


def create(path: Path, steps: int = 8) -> Run:
    configuration = configure(TASK.vocabulary, "lstm", (3, 2))
    return create_run(path, TASK, configuration, Settings(steps, report_every=2, validate_every=4))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = create(tmp_path_factory.mktemp("runs") / "trained")
    train(run)
    return run.path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    return Run(shutil.copytree(trained, tmp_path / "copy"))


def test_run_is_read_back_as_it_was_created(tmp_path: Path) -> None:
    created = create(tmp_path / "deep" / "run")
    again = Run(str(tmp_path / "deep" / "run"))
    assert again.name == "run"
    assert again.exists
    assert again.configuration() == configure(TASK.vocabulary, "lstm", (3, 2))
    assert again.task().to_json() == TASK.to_json()
    assert again.settings() == asdict(Settings(8, report_every=2, validate_every=4))
    assert created.checkpoints() == again.read(HISTORY) == []
    assert again.last_checkpoint() is None
    with pytest.raises(RunError, match="expected weights, got none yet"):
        again.network()


@pytest.mark.parametrize("content", ["file", "run", "something else"])
def test_create_leaves_occupied_places_alone(tmp_path: Path, content: str) -> None:
    place = tmp_path / "place"
    if content == "file":
        place.write_text("mine")
    elif content == "run":
        create(place)
    else:
        place.mkdir()
        (place / "thesis.tex").write_text("mine")
    before = {entry: entry.read_bytes() for entry in tmp_path.rglob("*") if entry.is_file()}
    with pytest.raises(RunError, match="got a run" if content == "run" else "got one with other files"):
        create(place)
    assert {entry: entry.read_bytes() for entry in tmp_path.rglob("*") if entry.is_file()} == before


def test_create_uses_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert create(tmp_path / "empty").exists
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file"):
        create(tmp_path / "file" / "run")


# --- atomic writes ---------------------------------------------------------------------------------------------------


def test_crash_before_the_rename_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "content"
    write_bytes(file, b"old")
    for place in ("replace", "fsync"):
        with monkeypatch.context() as patch:

            def crash(*_: Any) -> None:
                raise KeyboardInterrupt

            patch.setattr(*((Path, "replace") if place == "replace" else (gatescope.files.os, "fsync")), crash)
            with pytest.raises(KeyboardInterrupt):
                write_bytes(file, b"new and longer")
        assert file.read_bytes() == b"old"
    write_bytes(file, b"new")
    assert file.read_bytes() == b"new"


def test_write_bytes_syncs_before_it_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(gatescope.files.os, "fsync", lambda handle: (events.append("sync"), fsync(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (events.append("rename"), replace(self, to))[1])
    write_bytes(tmp_path / "content", b"x")
    assert events == ["sync", "rename", "sync"]


def test_write_json_refuses_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"text": "東\n", "number": 0.1})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"text": "東\n", "number": 0.1}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"number": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text("utf-8"))["number"] == 0.1


@pytest.mark.parametrize("crash_at", range(30))
def test_crash_while_saving_leaves_a_checkpoint(run: Run, monkeypatch: pytest.MonkeyPatch, crash_at: int) -> None:
    """The process may die at any call that changes a file or a folder; one checkpoint can always be resumed from."""
    before = run.last_checkpoint()
    assert before is not None
    new = Checkpoint(before.weights, before.arrays, {**before.progress, "step": 99})
    for step in (8, 99, 99):  # the same again, a later one, and that again
        calls = iter(range(100))

        def dying(function: Callable[..., Any], calls: Any = calls) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                if next(calls) == crash_at:
                    raise KeyboardInterrupt
                return function(*arguments, **named)

            return call

        with monkeypatch.context() as patch:
            for owner, name in (
                (Path, "replace"),
                (Path, "rename"),
                (Path, "unlink"),
                (shutil, "rmtree"),
                (os, "fsync"),
            ):
                patch.setattr(owner, name, dying(getattr(owner, name)))
            with suppress(KeyboardInterrupt):
                run.save_checkpoint(Checkpoint(new.weights, new.arrays, {**new.progress, "step": step}))
        checkpoint = run.last_checkpoint()
        assert checkpoint is not None
        assert checkpoint.progress["step"] in (8, 99)
        assert set(checkpoint.arrays) == set(before.arrays)


# --- damage ----------------------------------------------------------------------------------------------------------


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _other_shapes(path: Path) -> None:
    other = Network(configure(TASK.vocabulary, "lstm", (3, 4)))
    save_file({name: value.detach() for name, value in other.named_parameters()}, path)


def _not_finite(path: Path) -> None:
    other = Network(configure(TASK.vocabulary, "lstm", (3, 2))).state_dict()
    other["readout_biases"][0] = float("inf")
    save_file(other, path)


class _Boom:
    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(_Boom()))


def _pickled_by_torch(path: Path) -> None:
    torch.save(Network(configure(TASK.vocabulary, "lstm", (3, 2))).state_dict(), path)


def _huge_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


def _write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def _change(key: str, value: Any) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))


@pytest.mark.parametrize(
    "damage", [_truncate, _other_shapes, _not_finite, _pickled, _pickled_by_torch, _huge_header, _write("")]
)
@pytest.mark.parametrize("where", [WEIGHTS, f"checkpoints/step-00000008/{WEIGHTS}"])
def test_damaged_weights_are_refused(run: Run, damage: Callable[[Path], object], where: str) -> None:
    damage(run.path / where)
    with pytest.raises(RunError, match=WEIGHTS) as refused:
        run.network(8 if "checkpoints" in where else None)
    assert str(run.path) in str(refused.value)
    before = {
        entry: entry.read_bytes() for entry in run.path.rglob("*") if entry.is_file() and entry.name != "training.lock"
    }
    with pytest.raises(RunError, match=WEIGHTS):
        train(run, steps=20)
    for entry, content in before.items():
        assert entry.read_bytes() == content, entry


@pytest.mark.parametrize("damage", [_truncate, _pickled, _write("")])
def test_damaged_optimizer_is_refused(run: Run, damage: Callable[[Path], object]) -> None:
    damage(run.path / "checkpoints/step-00000008/optimizer.safetensors")
    with pytest.raises(RunError, match="optimizer"):
        train(run, steps=20)


@pytest.mark.parametrize(
    ("file", "damage", "words"),
    [
        ("network.json", _truncate, "expected JSON"),
        ("network.json", _write(""), "expected JSON"),
        ("network.json", _write("[]"), "format"),
        ("network.json", _write("[" * 200_000), "expected JSON"),
        ("network.json", _change("format", 99), "newer.*[uU]pgrade"),
        ("network.json", _change("layers", [{"cell": "gru", "neurons": 1}]), "damaged"),
        ("network.json", _change("dropout", float("nan")), "NaN"),
        ("network.json", lambda path: path.write_bytes(b"\xff\xfe\x00"), "expected JSON"),
        ("task.json", _truncate, "expected JSON"),
        ("task.json", _change("name", "juggling"), "juggling"),
        ("task.json", _write("3"), "task"),
        ("task.json", Path.unlink, "expected a file, got nothing"),
        ("training.json", _truncate, "expected JSON"),
        ("training.json", _write("[1]"), "settings"),
        ("training.json", Path.unlink, "expected a file, got nothing"),
    ],
)
def test_damaged_descriptions_are_refused(run: Run, file: str, damage: Callable[[Path], object], words: str) -> None:
    damage(run.path / file)
    with pytest.raises(RunError, match=words) as refused:
        _ = run.configuration(), run.task(), run.settings()
    assert file in str(refused.value)
    with pytest.raises(RunError):
        train(run, steps=20)


def test_oversized_files_are_not_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatescope.runs.run.MAX_JSON_BYTES", 100)
    with pytest.raises(RunError, match=r"network\.json.*at most 100"):
        run.configuration()


@pytest.mark.parametrize(
    "line", ['{"step": 9, "loss": 0.', '{"step": 9}}', "[1, 2]", "9", '{"loss": NaN}', "[" * 100_000, "\ufffd", ""]
)
def test_read_skips_lines_that_are_not_records(run: Run, line: str) -> None:
    before = run.read(HISTORY)
    with (run.path / HISTORY).open("a", encoding="utf-8") as file:
        file.write(line)
    assert run.read(HISTORY) == before


def test_append_writes_nan_and_infinity_as_null(run: Run) -> None:
    run.append(
        SAMPLES,
        {"step": 1, "a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": float("-inf")}, "e": "東\n"},
    )
    assert run.read(SAMPLES)[-1] == {"step": 1, "a": None, "b": [None, 1.5], "c": {"d": None}, "e": "東\n"}


def test_missing_run_and_checkpoint_are_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"without network\.json"):
        Run(tmp_path / "nowhere").configuration()
    for step in (5, -1, 10**300):
        with pytest.raises(RunError, match=r"expected a checkpoint of step .*, got none.*0, 4, 8"):
            run.network(step)
    assert run.network(4)[1] == 4


# --- checkpoints, locks, places --------------------------------------------------------------------------------------


def test_only_the_last_checkpoint_can_be_resumed(run: Run) -> None:
    assert run.checkpoints() == [0, 4, 8]
    files = {
        step: sorted(entry.name for entry in (run.path / f"checkpoints/step-{step:08d}").iterdir())
        for step in (0, 4, 8)
    }
    assert files == {0: [WEIGHTS], 4: [WEIGHTS], 8: ["optimizer.safetensors", "progress.json", WEIGHTS]}
    checkpoint = run.last_checkpoint()
    assert checkpoint is not None
    assert checkpoint.progress["step"] == 8
    assert not list(run.path.rglob("*.partial"))


def test_checkpoints_skip_other_folders(run: Run) -> None:
    for name in ("step-x", "step-00000009", ".step-00000010.tmp", "step-"):
        (run.path / "checkpoints" / name).mkdir()
    assert run.checkpoints() == [0, 4, 8]


HOLD = (
    "import filelock, sys; f = open(sys.argv[1], 'a'); filelock.lock_descriptor(f.fileno()); "
    "print('held', flush=True); input()"
)


def test_lock_is_exclusive_and_ends_with_the_process(run: Run) -> None:
    assert not run.is_training
    command = [sys.executable, "-c", HOLD, str(run.path / "training.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            assert run.is_training
            with pytest.raises(RunError, match="another process"):
                train(run, steps=20)
        finally:
            other.kill()
    assert not run.is_training
    with run.training():
        assert run.is_training
        with pytest.raises(RunError, match="another process"), run.training():
            pass
    assert not run.is_training


def test_is_training_does_not_keep_a_training_from_starting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`is_training` takes the lock for an instant; a training that starts meanwhile waits for it."""
    (run.path / "training.lock").touch()
    reader = (run.path / "training.lock").open()
    assert lock_descriptor(reader.fileno(), blocking=False)
    monkeypatch.setattr(time, "sleep", lambda _: reader.close())
    with run.training():
        assert reader.closed


@pytest.mark.skipif(os.name != "posix", reason="shared locks of POSIX")
def test_is_training_is_not_misled_by_another_that_asks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, two that ask hold the lock at the same time, one of them for long."""
    import fcntl

    (run.path / "training.lock").touch()
    flock = fcntl.flock
    seen = []

    def ask_meanwhile(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        if not seen:
            seen.append(None)
            seen[0] = run.is_training

    monkeypatch.setattr(fcntl, "flock", ask_meanwhile)
    assert not run.is_training
    assert seen == [False]


def test_find_runs_is_sorted_and_without_duplicates(tmp_path: Path, trained: Path) -> None:
    for name in ("b", "a"):
        shutil.copytree(trained, tmp_path / name)
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "again").symlink_to(tmp_path / "a")
    runs = find_runs([tmp_path, tmp_path / "b", tmp_path / "nowhere", tmp_path / "file"])
    assert [entry.path for entry in runs] == [tmp_path / "a", tmp_path / "b"]
    assert [entry.path for entry in find_runs([tmp_path / "b"])] == [tmp_path / "b"]


def test_run_has_no_pickled_files(run: Run) -> None:
    for entry in run.path.rglob("*"):
        if entry.is_file() and entry.name != "training.lock":
            content = entry.read_bytes()
            assert entry.suffix in (".json", ".jsonl", ".safetensors")
            if entry.suffix == ".safetensors":  # the header comes after eight bytes of its length
                assert content[8:9] == b"{"
            else:
                assert not content.startswith((b"\x80", b"PK"))


# --- foreign and damaged files ---------------------------------------------------------------------------------------

FILES = (
    "network.json",
    "task.json",
    "training.json",
    WEIGHTS,
    HISTORY,
    SAMPLES,
    "training.lock",
    "studies/labels.json",
    "checkpoints",
    f"checkpoints/step-00000008/{WEIGHTS}",
    "checkpoints/step-00000008/optimizer.safetensors",
    "checkpoints/step-00000008/progress.json",
)


def use(run: Run) -> None:
    """Read a run in every way: gallery, stored studies, weights, resuming. Every error is a sentence."""
    gallery, sentences = Gallery([run.path.parent]), list[str]()
    json.dumps([gallery.summaries(), gallery.details(run.name)], ensure_ascii=False, allow_nan=False).encode()
    for read in (
        lambda: studies.load(run, "labels"),
        run.network,
        lambda: train(run, stop=lambda: True, steps=20),
        lambda: train(run, from_best=True, stop=lambda: True, steps=20),
    ):
        try:
            read()
        except GatescopeError as error:
            sentences.append(str(error))
    assert all(20 < len(sentence) < 1000 for sentence in sentences)


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices of POSIX")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["pipe", "device", "link", "folder"])
def test_run_with_a_pipe_or_device_does_not_hang(run: Run, name: str, kind: str) -> None:
    """No reader waits for something else that has the name of a file of a run; the error is a sentence."""
    path, outside = run.path / name, run.path.parent / "outside"
    path.parent.mkdir(exist_ok=True)
    if path.is_dir():
        shutil.move(path, outside)
    elif path.exists():
        path.rename(outside)
    else:
        outside.write_text("{}")
    content = outside.read_bytes() if outside.is_file() else b""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(outside if kind == "link" else "/dev/zero")
    use(run)
    assert not outside.is_file() or outside.read_bytes() == content


def _damaged(content: bytes, json_file: bool, random: Random) -> bytes:
    """Return the content with one value of its JSON replaced, or some of its bytes."""
    if json_file and random.random() < 0.7:
        first, *lines = content.splitlines() if content.startswith(b'{"step"') else [content]
        value = json.loads(first)
        place, keys = value, list(value)
        while keys and random.random() < 0.7 and isinstance(place[keys[0]], dict | list) and place[keys[0]]:
            place = place[keys[0]]
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        place[random.choice(keys)] = random.choice(STRANGE)
        return b"\n".join([json.dumps(value).encode(), *lines, b""])
    damaged = bytearray(content)
    for _ in range(random.choice((1, 3))):
        place = random.randrange(len(damaged)) if damaged else 0
        damaged[place : place + random.choice((0, 1, 7))] = random.randbytes(random.choice((0, 1, 5)))
    return bytes(damaged)


STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 0, 0.5, 1e308, float("nan"), 2**63, 2**70, 10**400),
    *("", "abc", "\ud800", "x" * 3000, [], {}, [None], [[[]]], {"a": 1}),
)


@pytest.mark.parametrize("seed", range(120))
def test_run_with_a_damaged_file_gives_a_sentence(run: Run, seed: int) -> None:
    """No damage of any file gives an unexpected error; the damage is the same every time."""
    random = Random(seed)
    studies.save(run, "labels", Table.of([{"a": 1.0}], {"a": "a"}))
    files = [run.path / name for name in FILES if (run.path / name).is_file() and name != "training.lock"]
    file = random.choice(files)
    file.write_bytes(_damaged(file.read_bytes(), file.suffix in (".json", ".jsonl"), random))
    use(run)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("network.json", {"format": 99}),
        ("task.json", {"format": 99}),
        ("training.json", {"momentum": 0.9}),
        ("checkpoints/step-00000008/progress.json", {"temperature": 1.0}),
    ],
)
def test_run_of_a_newer_version_is_refused(run: Run, file: str, change: dict[str, Any]) -> None:
    """Fields of a newer version are not ignored."""
    path = run.path / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(GatescopeError, match=r"newer|[uU]pgrade"):
        train(run, steps=20)


def test_weights_with_a_changed_number_are_refused(run: Run) -> None:
    """The checksum detects a changed number; files without a checksum are read."""
    path = run.path / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match="checksum"):
        run.network()
    tensors = load(bytes(content))
    save_file(tensors, path, {"step": "4"})
    assert run.network()[1] == 4


def test_weights_with_a_changed_step_are_refused(run: Run) -> None:
    """The checksum covers the step of the training as well as the numbers."""
    path = run.path / WEIGHTS
    content = path.read_bytes()
    step = run.network()[1]
    assert content.count(b'"step":"%d"' % step) == 1
    path.write_bytes(content.replace(b'"step":"%d"' % step, b'"step":"%d"' % (step - 1)))
    with pytest.raises(RunError, match="checksum"):
        run.network()


@pytest.mark.parametrize("sign", ["", "-"])
def test_integers_beyond_64_bits_are_refused(sign: str) -> None:
    """18,446,744,073,709,551,615 is the largest integer of 64 bits."""
    largest = f"{sign}18446744073709551615"
    assert str(parse(largest)) == largest
    with pytest.raises(RecordError, match="18446744073709551616"):
        parse(f"{sign}18446744073709551616")


def test_studies_of_a_newer_version_are_not_replaced(run: Run) -> None:
    """An older version neither reads nor replaces the result of a newer one."""
    run.save_study("labels", {"format": 99, "weights": run.weights_mark(), "table": {}})
    assert studies.load(run, "labels") is None
    with pytest.raises(RunError, match="Upgrade"):
        studies.save(run, "labels", Table.of([{"a": 1.0}], {"a": "a"}))
    assert run.study("labels")["format"] == 99


def test_run_on_a_full_disk_names_the_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the file; training resumes from the last checkpoint afterwards."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = run.path.joinpath(WEIGHTS).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunError, match=r"/(weights|optimizer|training|history).*room on the disk"):
            train(run, steps=20)
    assert run.path.joinpath(WEIGHTS).read_bytes() == before
    assert train(run, steps=20).step == 20


@pytest.mark.parametrize("operation", ["open", "fsync", "mkdir", "rename", "replace"])
@pytest.mark.parametrize("call", [0, 1, 3, 7, 14])
def test_full_disk_at_any_write_loses_nothing(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, operation: str, call: int
) -> None:
    """Whichever write fails, the error is one sentence, and the resumed run equals one that never failed."""
    run, calls, original = create(tmp_path / "run"), itertools.count(), getattr(os, operation)

    def full(*arguments: Any, **named: Any) -> Any:
        writes = operation != "open" or arguments[1] & (os.O_WRONLY | os.O_RDWR)
        if writes and next(calls) == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*arguments, **named)

    with monkeypatch.context() as patch, suppress(RunError):
        patch.setattr(os, operation, full)
        train(run)
    train(run)
    weights, expected = (directory.network()[0].state_dict() for directory in (run, Run(trained)))
    assert all(torch.equal(weights[name], value) for name, value in expected.items())
    histories = [
        [{key: value for key, value in record.items() if key != "seconds"} for record in directory.read(HISTORY)]
        for directory in (run, Run(trained))
    ]
    assert histories[0] == histories[1]


def test_state_is_created_before_training(tmp_path: Path) -> None:
    """A run that was only created is not interrupted; in its first minute, its training may be reading data."""
    run = create(tmp_path / "new")
    assert run.state({}) == "starting"
    an_hour_ago = time.time() - 3600
    os.utime(run.path / "network.json", (an_hour_ago, an_hour_ago))
    assert run.state({}) == "created"
    train(run, stop=lambda: True)
    assert run.state(run.read(HISTORY)[-1]) == "interrupted"
