"""Strict JSON, and the records of history.jsonl and samples.jsonl."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

from gatescope.errors import GatescopeError

NUMBER_FIELDS = (
    "symbols",
    "seconds",
    "loss",
    "learning_rate",
    "gradient_norm",
    "validation_loss",
    "typical_loss",
    "temperature",
)
TEXT_FIELDS = ("event", "reason", "problem", "text", "from")
MAX_REASON_CHARACTERS = 400
INTEGER_LIMIT = 1 << 64


class RecordError(GatescopeError):
    """A number of a JSON text that other readers would not take."""


def parse(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: the text is not JSON, or has a number that is not finite, an integer beyond 64 bits, or half of a
            surrogate pair.
        RecursionError: it is nested too deeply.
    """
    value = json.loads(text, parse_constant=_number, parse_float=_number, parse_int=_integer)
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode()  # fails for half of a surrogate pair, which cannot be encoded
    return value


def record_of(line: bytes) -> dict[str, Any] | None:
    """Return the record in a line of history.jsonl or samples.jsonl; None if the line is not a record."""
    try:
        record = parse(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and _is_record(record) else None


def finite(value: Any) -> Any:
    """Return a value for JSON: NaN and infinite numbers become None."""
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shortened(error: object) -> str:
    """Return the text of an error, without the middle of a long quotation from a damaged file."""
    text = str(error)
    return text if len(text) <= MAX_REASON_CHARACTERS else f"{text[:200]} ... {text[-100:]}"


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: Any) -> TypeGuard[int]:
    """Return whether a JSON value is an integer of 0 or more."""
    return type(value) is int and value >= 0


def _is_record(record: Mapping[str, Any]) -> bool:
    """Return whether the fields that readers rely on have the right types."""
    score = record.get("score")
    return (
        is_count(record.get("step", 0))
        and all(is_number(record[key]) for key in NUMBER_FIELDS if record.get(key) is not None)
        and all(isinstance(record[key], str) for key in TEXT_FIELDS if record.get(key) is not None)
        and (score is None or (isinstance(score, dict) and _is_score(score)))
    )


def _is_score(score: Mapping[str, Any]) -> bool:
    return (
        all(score.get(key) is None or is_number(score[key]) for key in ("value", "chance"))
        and isinstance(score.get("text"), str)
        and isinstance(score.get("solved"), bool | None)
        and score.get("better", "higher") in ("higher", "lower")
        and isinstance(score.get("details", {}), dict)
    )


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise RecordError("RECORD_NUMBER", text=text[:40])
    return value


def _integer(text: str) -> int:
    if len(text) > 21 or abs(int(text)) >= INTEGER_LIMIT:
        raise RecordError("RECORD_INTEGER", text=text[:40])
    return int(text)
