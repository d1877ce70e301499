"""The language of messages: English, unless the program chooses another one of the catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

ENGLISH = "en"
CHINESE = "zh"
LANGUAGES = (ENGLISH, CHINESE)

_OF_CONTEXT: ContextVar[str] = ContextVar("language", default=ENGLISH)


def language() -> str:
    """Return the language of messages in this context."""
    return _OF_CONTEXT.get()


@contextmanager
def in_language(code: str) -> Iterator[None]:
    """Use a language inside the block, in this context only: a thread that starts meanwhile does not have it.

    Args:
        code: the language.
    """
    token = _OF_CONTEXT.set(code)
    try:
        yield
    finally:
        _OF_CONTEXT.reset(token)


def language_of_environment(environment: Mapping[str, str] = os.environ) -> str:
    """Return the language of LC_ALL, LC_MESSAGES, LANG and LANGUAGE, in the order of gettext.

    The first of LC_ALL, LC_MESSAGES and LANG that is set names the locale. LANGUAGE lists languages that come before
    it, unless the locale is C. The first one of the catalogue is taken, English if there is none.

    Args:
        environment: name -> value of a variable.
    """
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "C")
    if locale.partition(".")[0] in ("C", "POSIX"):
        return ENGLISH
    return first_known([*environment.get("LANGUAGE", "").split(":"), locale])


def language_of_header(value: str) -> str:
    """Return the language of a header Accept-Language, English if none of the catalogue is accepted.

    Args:
        value: the value of the header, such as "zh-CN,zh;q=0.9,en;q=0.8".
    """
    return first_known(part.partition(";")[0] for part in value.split(","))


def first_known(names: Iterable[str]) -> str:
    """Return the first language that the catalogue has, English if it has none.

    Args:
        names: locales or language tags, such as "zh_CN.UTF-8" or "zh-Hans".
    """
    for name in names:
        code = name.strip().replace("_", "-").partition("-")[0].partition(".")[0].lower()
        if code in LANGUAGES:
            return code
    return ENGLISH
