"""`gatescope sample`, `record` and `check`."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatescope import Run, check, open_trace, record, save_trace
from tests.cli.conftest import ENVIRONMENT, ROOT, Cli
from tests.waiting import PATIENCE


def test_sample_with_same_seed_is_equal(cli: Cli, run: Path) -> None:
    first = cli("sample", "counter", "--seed", 3, "--length", 20)
    assert first.status == 0
    assert first.out.startswith("a")
    assert cli("sample", run, "--seed", 3, "--length", 20).out == first.out
    assert any(cli("sample", run, "--seed", seed, "--length", 20).out != first.out for seed in range(4, 9))


def test_sample_starts_with_prime_and_ends_at_stop(cli: Cli, run: Path) -> None:
    written = cli("sample", "counter", "--prime", "aaX", "--stop", "b", "--length", 500).out
    assert written.startswith("aaX")
    assert written.endswith("b")
    assert written.count("b") == 1


def test_sample_prints_json(cli: Cli, run: Path) -> None:
    content = json.loads(cli("sample", "counter", "--prime", "aaX", "--argmax", "--json").out)
    assert content["prime"] == "aaX"
    assert content["text"] == cli("sample", "counter", "--prime", "aaX", "--argmax").out.removeprefix("aaX")


def test_sample_names_unknown_characters(cli: Cli, run: Path) -> None:
    result = cli("sample", "counter", "--prime", "aé", "--length", 3)
    assert result.status == 0
    assert "'é'" in result.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--temperature", "0"), "Temperature: expected more than 0 and finite, got 0"),
        (("--temperature", "-1"), "Temperature: expected more than 0 and finite, got -1"),
        (("--top-k", "0"), "Top-k: expected 1 or more, got 0"),
        (("--top-p", "2"), "Top-p: expected more than 0 and at most 1, got 2"),
        (("--length", "-1"), "Length: expected 0 or more, got -1"),
    ],
)
def test_sample_refuses_impossible_choices(cli: Cli, run: Path, options: tuple[str, ...], sentence: str) -> None:
    assert sentence in cli("sample", "counter", *options).refused()


def test_record_prints_predictions_and_signals(cli: Cli, run: Path) -> None:
    result = cli("record", "counter", "aaXbb\naXb\n")
    assert result.status == 0
    rows = result.out.split("\n\n")[0].splitlines()
    assert rows[0].split()[:3] == ["sequence", "step", "input"]
    assert [row.split()[2] for row in rows[1:]] == list("aaXbb⏎aXb⏎")
    assert "f · c₋₁ + i · g" in result.out
    assert "Every equation holds" in result.out


def test_record_json_equals_the_trace(cli: Cli, run: Path) -> None:
    content = json.loads(cli("record", "counter", "aaXb", "--json").out)
    trace = record(Run(run).network()[0], "aaXb")
    assert [step["symbol"] for step in content["steps"]] == list("aaXb")
    assert content["steps"][0]["log_probability_of_next"] == pytest.approx(float(trace.steps["log_probability"][0, 0]))
    assert content["steps"][3]["log_probability_of_next"] is None
    cell = next(signal for signal in content["signals"] if signal["signal"] == "c")
    assert cell["greatest"] == pytest.approx(float(trace["layer0"]["c"].max()))


def test_record_reads_a_file_and_standard_input(
    cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it.txt").write_text("aaXbb")
    monkeypatch.setattr(sys, "stdin", io.StringIO("aaXbb"))
    expected = cli("record", "counter", "aaXbb").out
    assert cli("record", "counter", "--file", "it.txt").out == expected
    assert cli("record", "counter", "-").out == expected


def test_record_writes_a_trace_directory(cli: Cli, run: Path) -> None:
    result = cli("record", "counter", "aaXbb", "--out", "it", "--dtype", "float32")
    assert result.status == 0
    assert "gatescope check it" in result.out
    expected = record(Run(run).network()[0], "aaXbb")["layer0"]["c"]
    assert np.array_equal(np.asarray(open_trace("it")["layer0"]["c"]), expected)
    assert "--overwrite" in cli("record", "counter", "aXb", "--out", "it").refused()
    assert open_trace("it").text(0) == "aaXbb"
    content = json.loads(cli("record", "counter", "aXb", "--out", "it", "--overwrite", "--json").out)
    assert (content["trace"], content["total_steps"]) == ("it", 3)
    assert open_trace("it").text(0) == "aXb"


def test_record_does_not_replace_a_run(cli: Cli, run: Path) -> None:
    assert (
        "expected a trace or nothing, got something else, which stays as it is"
        in cli("record", "counter", "aXb", "--out", run, "--overwrite").refused()
    )
    assert cli("sample", "counter").status == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("",), "nothing to record"),
        (("a", "--file", "it.txt"), "got both"),
        (("--file", "missing.txt"), "missing.txt"),
        (("a", "--overwrite"), "expected --out DIR beside it, got none"),
    ],
)
def test_record_refuses_unusable_texts(cli: Cli, run: Path, options: tuple[str, ...], sentence: str) -> None:
    assert sentence in cli("record", "counter", *options).refused()


def test_check_of_a_run_holds(cli: Cli, run: Path) -> None:
    result = cli("check", "counter", "aaXbb")
    assert result.status == 0
    assert "Every equation holds" in result.out
    content = json.loads(cli("check", "counter", "aaXbb", "--json").out)
    assert content["holds"] is True
    assert {"x.i", "u.o", "c", "h"} <= {residual["name"] for residual in content["residuals"]}


def test_check_of_a_trace_uses_its_own_values(cli: Cli, run: Path) -> None:
    cli("record", "counter", "aaXbb", "--out", "whole")
    cli("record", "counter", "aaXbb", "--out", "half", "--no-drives")
    assert "Every equation holds" in cli("check", "whole").out
    assert "could not be checked" in cli("check", "half").out
    assert "holds its own text" in cli("check", "whole", "aaXbb").refused()


def test_check_of_a_changed_trace_exits_with_1(cli: Cli, run: Path) -> None:
    trace = record(Run(run).network()[0], "aaXbb")
    signals = dict(trace["layer0"])
    signals["i"], signals["f"] = signals["f"], signals["i"]
    swapped = replace(trace, layers={"layer0": signals})
    save_trace(swapped, "swapped")
    result = cli("check", "swapped")
    # Also from disk: in float16, the residuals of the two swapped gates are almost equal.
    worst = max((r for r in check(open_trace("swapped")).residuals if r.largest), key=lambda r: r.largest or 0)
    assert result.status == 1
    assert result.out.count("DOES NOT HOLD") == sum((r.largest or 0) > 0.01 for r in check(swapped).residuals)
    place = f"{worst.name} of layer0 at sequence 0, step {worst.step}, neuron {worst.neuron}"
    assert result.out.splitlines()[-1].endswith(f"{place}.")
    assert json.loads(cli("check", "swapped", "--json").out)["holds"] is False


DAMAGES = {
    "truncated": ("weights.safetensors", lambda content: content[:-10], "truncated or damaged"),
    "junk": ("weights.safetensors", lambda _: b"x" * 100, "truncated or damaged"),
    "cut": ("network.json", lambda content: content[:100], "expected JSON, got something else"),
    "newer": ("network.json", lambda content: re.sub(rb'"format": \d+', b'"format": 99', content), "newer gatescope"),
    "other": ("network.json", lambda _: b"[]", "expected an object with a format number"),
    "binary": ("network.json", lambda _: b"\xff\xfe", "expected JSON, got something else"),
    "null": ("task.json", lambda _: b"null", "task.json cannot be used"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", [("sample",), ("record",), ("check",), ("train", "--resume", "--run")])
def test_damaged_run_is_refused_and_unchanged(cli: Cli, run: Path, damage: str, command: tuple[str, ...]) -> None:
    file, change, sentence = DAMAGES[damage]
    (run / file).write_bytes(change((run / file).read_bytes()))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert sentence in cli(*command, run).refused()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_damaged_settings_are_refused(cli: Cli, run: Path) -> None:
    for content in ("[]", '{"steps": "many"}', '{"speed": 1}'):
        (run / "training.json").write_text(content)
        assert "training.json" in cli("train", "--resume", "counter").refused()


def test_unknown_run_suggests_a_close_name(cli: Cli, run: Path) -> None:
    for command in ("sample", "record", "check"):
        assert "Did you mean 'counter'?" in cli(command, "countr").refused()
    assert "got a folder without network.json" in cli("sample", "runs").refused()
    shutil.rmtree(run)
    assert "gatescope train counter" in cli("sample", "counter").refused()


def test_closed_output_ends_the_command(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "gatescope", "tasks"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, cwd=tmp_path, env=environment)
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == b""


def test_unexpected_error_asks_for_a_report(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault\nof the program")

    monkeypatch.setattr("gatescope.cli.commands.tasks.print_table", fail)
    result = cli("tasks")
    assert result.status == 70
    assert "RuntimeError: a fault of the program" in result.err
    assert "report it" in result.err
    assert "Traceback" not in result.err
    assert "Traceback" in cli("tasks", "--debug").err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize("length", [0, 5])
def test_sample_on_a_terminal_ends_with_a_newline(run: Path, tmp_path: Path, length: int) -> None:
    """The shell's prompt begins on a new line, whatever symbol the network wrote last."""
    import pty

    main_end, terminal = pty.openpty()
    words = ["sample", "counter", "--prime", "aX", "--length", str(length), "--stop", "z"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gatescope", *words],
        cwd=tmp_path,
        stdout=terminal,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    os.close(terminal)
    written = b""
    with suppress(OSError):  # Linux reports the closed terminal as an error
        while block := os.read(main_end, 1024):
            written += block
    os.close(main_end)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert written.startswith(b"aX")
    assert written.endswith(b"\r\n")


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\x07b", "a\x9b31mb", "a\u202eb"])
def test_run_name_prints_no_control_characters(cli: Cli, run: Path, tmp_path: Path, name: str) -> None:
    """Sentences and tables show symbols in place of control characters and marks of direction."""
    runs = tmp_path / "others"
    shutil.copytree(run, runs / name)
    (runs / f"{name}2").mkdir()
    (runs / f"{name}2" / "network.json").write_text("{", encoding="utf-8")
    answer = [cli("train", "--resume", "--run", runs / name), cli("runs", runs)]
    answer += [cli("sample", runs / f"{name}2"), cli("sample", name)]
    assert [entry.status for entry in answer] == [0, 0, 2, 2]
    assert not any(character in entry.out + entry.err for entry in answer for character in "\x1b\x07\x9b\u202e")
