"""The message catalogue: the sentences in messages/en and the places in the source that use them."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import tomllib
from collections.abc import Callable, Iterator
from string import Formatter

import pytest

from gatescope.errors import GatescopeError
from gatescope.files import FileError
from gatescope.messages import Message, english
from gatescope.trace import TraceError
from tests.source_files import PACKAGE, trees

ENGLISH = english()


def _calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Yield (place, call, code) for every call whose first argument is a string in capitals, as a code is."""
    for path, tree in trees("src").items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            first = node.args[0]
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if not name.endswith(("Error", "Message", "message")) or not isinstance(first, ast.Constant):
                continue
            if isinstance(first.value, str) and first.value.isupper() and " " not in first.value:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node, first.value


def _fields(sentence: str) -> set[str]:
    return {name for _text, name, _spec, _conversion in Formatter().parse(sentence) if name is not None}


def test_every_code_in_the_source_has_a_sentence() -> None:
    missing = [f"{place}: {code}" for place, _call, code in _calls() if code not in ENGLISH]
    assert missing == []


def test_every_code_has_one_sentence() -> None:
    places: dict[str, list[str]] = {}
    for file in sorted((PACKAGE / "messages/en").glob("*.toml")):
        for code in tomllib.loads(file.read_text(encoding="utf-8")):
            places.setdefault(code, []).append(file.name)
    assert {code: names for code, names in places.items() if len(names) > 1} == {}


def test_every_sentence_is_used() -> None:
    constants = {
        node.value
        for tree in trees("src").values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert sorted(ENGLISH.keys() - constants) == []


def test_a_call_gives_the_values_its_sentence_names() -> None:
    """No value is missing; none is given that the sentence does not show, except attributes of the error."""
    attributes = {"missing", "denied", "status"}
    wrong = []
    for place, call, code in _calls():
        keywords = {keyword.arg for keyword in call.keywords}
        if None in keywords or code not in ENGLISH:  # **values: seen at run time
            continue
        if keywords - attributes != _fields(ENGLISH[code]) - attributes:
            wrong.append(f"{place}: {code} takes {sorted(_fields(ENGLISH[code]))}, got {sorted(map(str, keywords))}")
    assert wrong == []


def test_a_message_formats_values_and_inner_messages() -> None:
    inner = Message("UNKNOWN_NAME", what="Cell", names="lstm, gru", name="x")
    assert str(inner) == "Cell: expected one of lstm, gru, got 'x'. Give one of these names."
    assert str(Message("A sentence of its own with {braces}.")) == "A sentence of its own with {braces}."
    assert str(GatescopeError(inner)) == str(inner)


@pytest.mark.parametrize(("count", "text"), [(0, "0 steps"), (1, "1 step"), (2_000, "2,000 steps")])
def test_a_count_chooses_its_form(count: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGLISH, "A_COUNT", "{count:# step|# steps}")
    assert str(Message("A_COUNT", count=count)) == text


def test_an_error_has_its_code_and_values() -> None:
    error = TraceError("UNKNOWN_NAME", what="Layer", names="layer0", name=3)
    assert error.code == "UNKNOWN_NAME"
    assert error.values == {"what": "Layer", "names": "layer0", "name": 3}


def test_an_error_reads_the_catalogue_when_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr("gatescope.messages.english", lambda: read.append("catalogue") or ENGLISH)
    error = TraceError("UNKNOWN_NAME", what="Layer", names="layer0", name=3)
    assert read == []
    assert str(error).startswith("Layer: expected one of layer0")
    assert read == ["catalogue"]


def _pickled(error: FileError) -> FileError:
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - written one call earlier


@pytest.mark.parametrize("restore", [copy.copy, _pickled])
def test_an_error_survives_copy_and_pickle(restore: Callable[[FileError], FileError]) -> None:
    error = restore(FileError("UNKNOWN_NAME", missing=True, what="File", names="a", name="b"))
    assert isinstance(error, FileError)
    assert error.missing
    assert not error.denied
    assert str(error) == "File: expected one of a, got 'b'. Give one of these names."
    assert error.values["name"] == "b"


def test_page_has_each_code_once() -> None:
    def codes(pairs: list[tuple[str, str]]) -> list[str]:
        return [code for code, _sentence in pairs]

    for file in (PACKAGE / "messages").rglob("page.json"):
        listed = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=codes)
        assert len(listed) == len(set(listed)), file
