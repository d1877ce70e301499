"""The command line in Chinese, by the environment; what programs read stays English."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from gatescope.messages.titles import title_of
from tests.cli.conftest import Cli

CHINESE = {"LC_ALL": "zh_CN.UTF-8", "PYTHONUTF8": "1"}


def _run(*words: str, columns: int = 80, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own: the help is built when its commands are imported."""
    environment = {**os.environ, **CHINESE, "COLUMNS": str(columns)}
    command = [sys.executable, "-m", "gatescope", *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, cwd=cwd, check=False)


@pytest.mark.parametrize("columns", [80, 100])
def test_help_is_chinese_and_its_frames_are_aligned(columns: int) -> None:
    shown = _run("label", "--help", columns=columns).stdout
    assert "找出每个神经元跟随的特征" in shown
    assert "错误发现率" in shown
    frames = [line for line in shown.splitlines() if line and line[0] in "╭│╰"]
    assert len(frames) > 10
    assert {cell_len(line) for line in frames} == {columns}


def test_errors_are_chinese_and_the_status_is_the_same(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    english = cli("runs", "nosuch")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    chinese = cli("runs", "nosuch")
    assert english.status == chinese.status == 2
    assert "expected a folder of runs" in english.err
    assert "应为存放运行的文件夹" in chinese.err


def test_json_stays_english(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    english = cli("tasks", "--json")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert json.loads(cli("tasks", "--json").out) == json.loads(english.out)


def test_titles_follow_the_language() -> None:
    assert title_of("feature", ("counter/task.owed", "task.owed"), "b's left", "zh") == "此符号之后还要写的 b 数"
    assert title_of("signal", "input drive of the forget gate", "", "zh") == "遗忘门的输入驱动项"
    assert title_of("feature", "own.mine", "my own", "zh") == "my own"
    assert title_of("signal", "forget gate", "forget gate", "en") == "forget gate"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("trash", "--help"), "[默认：runs]"),
        (("train", "--help"), "[可选值：adam, rmsprop, sgd]"),
        (("label", "--help"), "[必需]"),
        (("cells", "gru"), "重置门"),
        (("tasks", "counter"), "哪些神经元在读 a 时往上数"),
    ],
)
def test_words_of_the_program_are_chinese(words: tuple[str, ...], sentence: str) -> None:
    shown = _run(*words).stdout
    assert sentence in shown
    assert not {"Usage:", "Arguments", "Options", "Examples", "default:"} & set(shown.replace("[", " ").split())


@pytest.mark.parametrize(
    ("words", "english", "chinese"),
    [
        (("labl",), "Command: expected a command of `gatescope --help`, got 'labl'. Did you mean 'label'?", "命令"),
        (("trash", "--emty"), "Option: expected one of `gatescope trash --help`, got --emty. Did you mean", "选项"),
        (("train", "counter", "--steps", "x"), "--steps: expected a whole number, got 'x'.", "应为整数"),
        (("train", "counter", "--optimizer", "adm"), "got 'adm'. Did you mean 'adam'?", "之一，实际为 'adm'"),
        (("train", "counter", "--steps"), "--steps: expected a value, got none.", "应给出一个值"),
        (("label",), "RUN: expected a value, got none.", "RUN：应给出一个值"),
        (("trash", "a", "b"), "Words: expected no more for `gatescope trash`, got b.", "不应有更多的单词"),
        (("runs", "--tag", "a", "--json", "--json"), "--json: expected once, got it twice.", "应只给出一次"),
    ],
)
def test_errors_of_the_parser_have_both_languages(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], english: str, chinese: str
) -> None:
    assert english in cli(*words).refused()
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert chinese in cli(*words).refused()


def test_labels_and_what_leaves_are_chinese(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, run: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert "每个方程都成立" in cli("record", run, "aXb").out
    written = cli("export", run, tmp_path / "counter.html").out
    assert "这台机器的路径不会离开它" in written
    assert "leaves the machine" not in written


NAMES = {"layer", "input", "lstm", "diag", "tanh", "AUROC", "ROC", "Matthews"}
"""Words of Latin letters in Chinese output: names of layers, functions, inputs and measures."""


@pytest.mark.parametrize(
    "words",
    [
        ("health", "--all"),
        ("horizon",),
        ("ablate",),
        ("weights", "--all"),
        ("probe",),
        ("distributions",),
        ("record", "aXb"),
        ("predict", "aXb"),
        ("passages", "--neuron", "0"),
        ("pattern", "aaXbb", "--range", "0:1"),
        ("snapshot", "--at", "X"),
        ("check",),
    ],
    ids=lambda words: words[0],
)
def test_tables_are_chinese(cli: Cli, monkeypatch: pytest.MonkeyPatch, run: Path, words: tuple[str, ...]) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    shown = cli(words[0], run, *words[1:]).out
    lines = [line for line in shown.splitlines() if "`" not in line and "--" not in line]
    words_shown = {word for line in lines for word in re.findall("[A-Za-z]{3,}", line)}
    assert {word for word in words_shown if not re.fullmatch("[abX]+", word)} <= NAMES
