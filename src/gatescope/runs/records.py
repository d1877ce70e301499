"""JSON as others may have written it: what no other reader would take is refused, and a record is checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

NUMBERS = (
    "symbols",
    "seconds",
    "loss",
    "learning_rate",
    "gradient_norm",
    "validation_loss",
    "typical_loss",
    "temperature",
)
TEXTS = ("event", "reason", "problem", "text", "from")
SENTENCE_CHARACTERS = 400
LARGEST_WHOLE_NUMBER = 1 << 64


def parse(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON, or holds a number beyond every format or half of a character.
        RecursionError: it is nested too deeply.
    """
    value = json.loads(text, parse_constant=_number, parse_float=_number, parse_int=_whole_number)
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode()  # fails for half of a surrogate pair, which no file can hold
    return value


def record_of(line: bytes) -> dict[str, Any] | None:
    """Return the record in a line of history.jsonl or samples.jsonl; None where there is none."""
    try:
        record = parse(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and _is_record(record) else None


def finite(value: Any) -> Any:
    """Return a value as JSON holds it: numbers that JSON cannot write become null."""
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shortened(error: object) -> str:
    """Return what an error says, without the middle of what it quotes from a damaged file."""
    text = str(error)
    return text if len(text) <= SENTENCE_CHARACTERS else f"{text[:200]} ... {text[-100:]}"


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: Any) -> bool:
    """Return whether a JSON value is a whole number from 0 on."""
    return type(value) is int and value >= 0


def _is_record(record: Mapping[str, Any]) -> bool:
    """Whether the fields that readers rely on have their types."""
    score = record.get("score")
    return (
        is_count(record.get("step", 0))
        and all(is_number(record[key]) for key in NUMBERS if record.get(key) is not None)
        and all(isinstance(record[key], str) for key in TEXTS if record.get(key) is not None)
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
        raise ValueError(f"{text[:40]} is no number")
    return value


def _whole_number(text: str) -> int:
    if len(text) > 21 or abs(int(text)) >= LARGEST_WHOLE_NUMBER:
        raise ValueError(f"{text[:40]} is beyond the whole numbers of 64 bits")
    return int(text)
