"""Help and version: complete, fast, and equal to the documentation."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

import pytest
from cyclopts import Group

from gatescope.cli.app import LANGUAGE, TITLES
from gatescope.cli.docs import page
from gatescope.cli.entry import app
from gatescope.messages import help_texts
from gatescope.version import __version__
from tests.cli.conftest import ROOT, Cli

COMMANDS = (
    *("demo", "train"),
    *("explore", "predict", "sample", "record", "check"),
    *("label", "probe", "ablate", "patch", "steer", "passages", "pattern", "snapshot", "distributions"),
    *("health", "weights", "errors", "horizon", "compare"),
    *("adopt", "export", "site"),
    *("tasks", "cells", "runs", "findings", "trash"),
)


def test_help_lists_every_command(cli: Cli) -> None:
    result = cli("--help")
    assert result.status == 0
    listed = [line.split()[1] for line in result.out.splitlines() if line.startswith("│ ") and line[2] != " "]
    assert [name for name in listed if not name.startswith("-")] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_help_has_usage_and_examples(cli: Cli, name: str) -> None:
    result = cli(name, "--help")
    assert result.status == 0
    assert f"Usage: gatescope {name}" in result.out
    assert f" gatescope {name}" in result.out.split("Examples")[1]


def test_version(cli: Cli) -> None:
    assert cli("--version").out.strip() == __version__


def test_help_and_version_import_no_libraries() -> None:
    code = (
        "import sys; from gatescope.cli import main; main(['--help']); main(['--version']);"
        "main(['train', '--help']); main(['label', '--help']);"
        "sys.exit(', '.join({'torch', 'numpy', 'starlette', 'uvicorn'} & set(sys.modules)) or 0)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


def test_docs_page_matches_the_program() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == page()


def _sentences() -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for every sentence of an option in the catalogue."""
    for table, sentences in help_texts.options(LANGUAGE).items():
        yield from ((f"{table}.{name}", sentence) for name, sentence in sentences.items())
    for command, texts in help_texts.commands(LANGUAGE).items():
        yield from ((f"{command}.{name}", sentence) for name, sentence in texts.options.items())


def _help_of_options() -> dict[tuple[str, str], str | None]:
    """Return the help of every option of every command, and of every option that the catalogue lacks."""
    return {
        (name, argument.name): argument.parameter.help
        for name in COMMANDS
        for argument in app[name].assemble_argument_collection(parse_docstring=True)
        if argument.show
    }


def test_every_option_has_its_sentence_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """With each sentence replaced by its key, every option shows a key, and every key is shown."""
    keys = {key for key, _sentence in _sentences()}
    options = {
        table: {name: f"{table}.{name}" for name in names} for table, names in help_texts.options(LANGUAGE).items()
    }
    monkeypatch.setattr(help_texts, "options", lambda _language: options)
    for command, texts in help_texts.commands(LANGUAGE).items():
        for name in texts.options:
            monkeypatch.setitem(texts.options, name, f"{command}.{name}")
    shown = _help_of_options()
    assert set(shown.values()) == keys
    assert {(command, name): key for (command, name), key in shown.items() if key is None} == {}


@pytest.mark.parametrize(("command", "option"), [("label", "rate"), ("train", "from"), ("demo", "minutes")])
def test_an_option_without_a_sentence_is_an_error(command: str, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(help_texts.commands(LANGUAGE)[command].options, option)
    with pytest.raises(KeyError, match=option):
        _help_of_options()


def test_catalogue_and_program_have_the_same_commands() -> None:
    assert set(help_texts.commands(LANGUAGE)) == set(COMMANDS)


def _groups(name: str) -> tuple[Group, ...]:
    return cast("tuple[Group, ...]", app[name].group)


def test_every_title_is_used() -> None:
    groups = {group.name for name in COMMANDS for group in _groups(name)}
    for name in COMMANDS:
        groups |= {group.name for group in app[name].assemble_argument_collection().groups}
    groups |= {group.name for group in _groups("--help")}
    assert set(TITLES.values()) <= groups
    assert len(set(TITLES.values())) == len(TITLES)


def test_help_texts_are_sentences() -> None:
    texts = dict(_sentences())
    for name, command in help_texts.commands(LANGUAGE).items():
        texts |= {f"{name} summary": command.summary}
        texts |= {f"{name} {k}": part for k, part in enumerate(command.description.split("\n\n")) if part}
    wrong = {key: text for key, text in texts.items() if not re.fullmatch(r"([A-Z]|--).*\.", text, re.DOTALL)}
    assert wrong == {}


def test_no_sentence_of_an_option_stands_twice() -> None:
    places: dict[str, list[str]] = {}
    for key, sentence in _sentences():
        places.setdefault(sentence, []).append(key)
    assert {sentence: keys for sentence, keys in places.items() if len(keys) > 1} == {}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_has_an_option_twice(name: str) -> None:
    options = [argument.name for argument in app[name].assemble_argument_collection() if argument.show]
    assert sorted(options) == sorted(set(options))
