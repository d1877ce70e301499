"""Errors of the parser of the command line, as sentences of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import get_args

from cyclopts import CycloptsError
from cyclopts.annotations import get_hint_name
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from gatescope.messages import Message

MIN_SIMILARITY = 0.6


def parsing_message(error: CycloptsError) -> Message:
    """Return what is wrong with the words of a command line, in a sentence.

    Args:
        error: an error of the parser. Errors of other kinds keep their own text.
    """
    if isinstance(error, UnknownCommandError):
        return _unknown_command(error)
    if isinstance(error, UnknownOptionError):
        return _unknown_option(error)
    if isinstance(error, CoercionError):
        return _wrong_value(error)
    if type(error) is MissingArgumentError and error.argument is not None:
        return _missing_value(error, error.keyword or error.argument.name)
    if isinstance(error, UnusedCliTokensError):
        return Message("PARSING_TOO_MANY", command=_command(error), words=" ".join(error.unused_tokens or ()))
    if isinstance(error, RepeatArgumentError):
        return Message("PARSING_REPEATED", option=error.token.keyword or error.token.value)
    return Message(str(error))


def _command(error: CycloptsError) -> str:
    return " ".join(("gatescope", *(error.command_chain or ())))


def _with_close(codes: tuple[str, str], word: str, known: Iterable[str], /, **values: object) -> Message:
    """Return the first sentence, or the second one, with a suggestion, if a known name is close to the word."""
    close = get_close_matches(word, list(known), n=1, cutoff=MIN_SIMILARITY)
    return Message(codes[1], close=close[0], **values) if close else Message(codes[0], **values)


def _unknown_command(error: UnknownCommandError) -> Message:
    word = (error.unused_tokens or [""])[0]
    known = [name for name in (error.app or ()) if not name.startswith("-")]
    return _with_close(("PARSING_COMMAND_UNKNOWN", "PARSING_COMMAND_UNKNOWN_CLOSE"), word, known, word=word)


def _unknown_option(error: UnknownOptionError) -> Message:
    option = (error.token.keyword or error.token.value).partition("=")[0]
    known = [name for argument in error.argument_collection for name in argument.names if name.startswith("-")]
    return _with_close(
        ("PARSING_OPTION_UNKNOWN", "PARSING_OPTION_UNKNOWN_CLOSE"),
        option,
        known,
        option=option,
        command=_command(error),
    )


def _wrong_value(error: CoercionError) -> Message:
    argument, token = error.argument, error.token
    if error.msg is not None or token is None or argument is None or error.target_type is None:
        return Message(str(error))
    name = token.keyword or argument.name
    choices = [str(choice) for choice in get_args(error.target_type)]
    if choices:
        values = {"name": name, "choices": ", ".join(choices), "value": token.value}
        return _with_close(
            ("PARSING_VALUE_NOT_CHOICE", "PARSING_VALUE_NOT_CHOICE_CLOSE"), token.value, choices, **values
        )
    kinds = {int: "PARSING_KIND_INTEGER", float: "PARSING_KIND_NUMBER", bool: "PARSING_KIND_BOOLEAN"}
    code = kinds.get(error.target_type)
    kind = Message(code) if code else get_hint_name(error.target_type)
    return Message("PARSING_VALUE_WRONG", name=name, kind=kind, value=token.value)


def _missing_value(error: MissingArgumentError, name: str) -> Message:
    code = "PARSING_VALUE_MISSING" if name.startswith("-") else "PARSING_ARGUMENT_MISSING"
    return Message(code, name=name, command=_command(error))
