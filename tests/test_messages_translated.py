"""The translations: every language has the codes of English, with the same fields, and no English is left over."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from gatescope.errors import GatescopeError
from gatescope.messages import ENGLISH_FOLDER, FOLDER, Message, catalogue
from gatescope.messages.languages import (
    CHINESE,
    LANGUAGES,
    in_language,
    language,
    language_of_environment,
    language_of_header,
)

OTHERS = [code for code in LANGUAGES if code != "en"]
LATIN = {"APP_TITLE", "COMMANDS_KEY", "CONNECTIONS_UNIT_GRADIENT", "REQUEST_KIND_BOOLEAN"}
"""Names, keys and formulas, which every language writes alike."""

CHINESE_CHARACTER = re.compile(r"[\u4e00-\u9fff]")


def _entries(file: Path) -> dict[str, str]:
    """Return place -> sentence for every text of a file; the entries of nested tables have dotted places."""
    if not file.exists():
        return {}
    text = file.read_text(encoding="utf-8")
    return dict(_flat(json.loads(text) if file.suffix == ".json" else tomllib.loads(text)))


def _flat(table: Any, place: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items() if isinstance(table, dict) else enumerate(table):
        if isinstance(value, str):
            yield f"{place}{name}", value
        else:
            yield from _flat(value, f"{place}{name}.")


def _fields(sentence: str) -> set[str]:
    return {name for _text, name, _spec, _conversion in Formatter().parse(sentence) if name is not None}


def _prose(place: str, sentence: str) -> str:
    """Return the part of a sentence that is prose: not its fields, nor the command of a usage line or an example."""
    if ".usage" in place:
        return ""
    if "examples." in place:
        sentence = sentence.partition("# ")[2]
    return re.sub(r"\{[^{}]*\}", "", sentence)


def _files() -> list[str]:
    files = (path for pattern in ("*.toml", "*.json") for path in ENGLISH_FOLDER.rglob(pattern))
    names = sorted(str(path.relative_to(ENGLISH_FOLDER)) for path in files)
    # Short names of features stand in titles.json (tests/features/test_feature_names.py).
    return [name for name in names if name != "feature_names.json"]


TRANSLATED = [(code, file) for code in OTHERS for file in _files() if _entries(FOLDER / code / file)]


@pytest.mark.parametrize(("code", "file"), TRANSLATED)
def test_a_translation_has_every_code_and_no_other(code: str, file: str) -> None:
    english, translated = _entries(ENGLISH_FOLDER / file), _entries(FOLDER / code / file)
    missing, unknown = sorted(english.keys() - translated.keys()), sorted(translated.keys() - english.keys())
    assert (missing, unknown) == ([], []), (
        f"messages/{code}/{file}: add the {code} sentences of {missing} and remove {unknown}, "
        f"which messages/en/{file} does not have."
    )


@pytest.mark.parametrize(("code", "file"), TRANSLATED)
def test_no_english_is_left_over(code: str, file: str) -> None:
    """A translated sentence has Chinese characters, or is one of few that are names, signs or fields alone."""
    left_over = [
        place
        for place, sentence in _entries(FOLDER / code / file).items()
        if not CHINESE_CHARACTER.search(sentence) and re.search(r"[a-z]{3}", _prose(place, sentence))
    ]
    assert sorted(set(left_over) - LATIN) == [], f"messages/{code}/{file}: translate these sentences"


@pytest.mark.parametrize(("code", "file"), TRANSLATED)
def test_a_translation_has_the_fields_of_english(code: str, file: str) -> None:
    english, translated = _entries(ENGLISH_FOLDER / file), _entries(FOLDER / code / file)
    wrong = {
        f"messages/{code}/{file}: {place}": (sorted(_fields(english[place])), sorted(_fields(sentence)))
        for place, sentence in translated.items()
        if place in english and _fields(english[place]) != _fields(sentence)
    }
    assert wrong == {}, "(fields in English, fields in the translation)"


HALF_WIDTH = re.compile(r"[\u4e00-\u9fff”）}]\s*[,;:](?!\w)|[,;:]\s*[\u4e00-\u9fff]")
SPACED_QUOTES = re.compile(r"[\u4e00-\u9fff，。：；（）] “|” [\u4e00-\u9fff，。：；（）]")
OTHER_SPELLINGS = {
    "奈特": "纳特",
    r"意外(?!度|错误)": "意外度",
    r"意外程度": "意外度",
    "活(页|文)": "可交互文件",
    "(?<![字子符一])串": "字符串",
}
"""A pattern of a second spelling -> the term of the glossary."""


def _chinese_sentences() -> Iterator[tuple[str, str]]:
    for file in sorted((FOLDER / CHINESE).rglob("*.*")):
        for place, sentence in _entries(file).items():
            yield f"{file.name}: {place}", re.sub(r"\{(\w*)[^{}]*\}", r"{\1}", sentence)


def test_chinese_sentences_have_full_width_punctuation() -> None:
    fields = re.compile(r"\{path\}:\{key\}")  # part of a command
    wrong = [place for place, sentence in _chinese_sentences() if HALF_WIDTH.search(fields.sub("", sentence))]
    assert wrong == []


def test_chinese_quotation_marks_have_no_spaces() -> None:
    assert [place for place, sentence in _chinese_sentences() if SPACED_QUOTES.search(sentence)] == []


def test_chinese_terms_have_one_spelling() -> None:
    wrong = [
        f"{place}: {term}"
        for place, sentence in _chinese_sentences()
        for pattern, term in OTHER_SPELLINGS.items()
        if re.search(pattern, sentence)
    ]
    assert wrong == []


def test_messages_are_english_unless_another_language_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    monkeypatch.setitem(catalogue(CHINESE), "UNKNOWN_NAME", "{what}：应为 {names} 之一，实际为 {name!r}。")
    error = GatescopeError(Message("UNKNOWN_NAME", what="Cell", names="lstm, gru", name="x"))
    assert str(error).startswith("Cell: expected one of")
    with in_language(CHINESE):
        assert str(error) == "Cell：应为 lstm, gru 之一，实际为 'x'。"
    assert language() == "en"


def test_a_sentence_without_a_translation_is_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(catalogue(CHINESE), "UNKNOWN_NAME", raising=False)
    with in_language(CHINESE):
        assert "expected one of" in str(Message("UNKNOWN_NAME", what="Cell", names="a", name="x"))


@pytest.mark.parametrize(("count", "text"), [(0, "0 步"), (1, "1 步"), (2_000, "2,000 步")])
def test_a_chinese_count_has_one_form(count: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue(CHINESE), "A_COUNT", "{count:# 步}")
    monkeypatch.setitem(catalogue(CHINESE), "A_WORD", "{count:有}")
    with in_language(CHINESE):
        assert str(Message("A_COUNT", count=count)) == text
        assert str(Message("A_WORD", count=count)) == "有"


def test_a_message_survives_json_with_the_messages_inside_it() -> None:
    inner = Message("SCORE_LOSS_AND_OPTIMUM", loss=0.5, optimum=0.25)
    message = Message("SCORE_WALKS_ALL", strings=3, tried=9, loss=inner)
    restored = Message.from_json(json.loads(json.dumps(message.to_json())))
    assert str(restored) == str(message)
    with in_language(CHINESE):
        assert str(restored) == str(message) != ""


@pytest.mark.parametrize("data", [None, {}, {"code": "NO_SUCH_CODE", "values": {}}, {"code": "SCORE_ALL"}, "x"])
def test_json_that_is_no_message_is_none(data: object) -> None:
    assert Message.from_json(data) is None


def test_json_without_the_values_of_its_sentence_is_no_message() -> None:
    assert Message.from_json({"code": "SCORE_WALKS_ALL", "values": {"strings": 3}}) is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8", "LANGUAGE": "zh"}, "en"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "zh_CN:en"}, "zh"),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": "de:zh"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
    ],
)
def test_the_environment_chooses_as_gettext_does(environment: dict[str, str], expected: str) -> None:
    assert language_of_environment(environment) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [("", "en"), ("zh", "zh"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("fr, zh-Hant;q=0.5", "zh"), ("*", "en")],
)
def test_a_header_chooses_the_first_known_language(header: str, expected: str) -> None:
    assert language_of_header(header) == expected
