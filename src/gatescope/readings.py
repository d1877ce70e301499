"""Checks of what a network is given to read: texts, and arrays, tensors or lists of ids or numbers.

`S` sequence, `T` step, `I` number of a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.errors import GatescopeError
from gatescope.messages import Message
from gatescope.vocabulary import PADDING, Reading, Vocabulary

_ADVICE_FOR_IDS = Message("READINGS_ADVICE_IDS")
_ADVICE_FOR_NUMBERS = Message("READINGS_ADVICE_NUMBERS")


class ReadingError(GatescopeError):
    """A source that a network cannot read; the message says what it can read."""


def texts_in(source: object) -> list[str] | None:
    """Return one or several texts as a list; None if the source is not made of texts.

    Args:
        source: anything.

    Raises:
        ReadingError: only some of several things are texts.
    """
    if isinstance(source, str):
        return [str(source)]
    if isinstance(source, np.ndarray) and source.dtype.kind in "UO" and source.ndim == 1:
        source = source.tolist()
    if not isinstance(source, list | tuple) or not any(isinstance(text, str) for text in source):
        return None
    for text in source:
        if not isinstance(text, str):
            raise ReadingError("READINGS_TEXTS_MIXED", kind=_kind(text), advice=_ADVICE_FOR_IDS)
    return [str(text) for text in source]


def readings(vocabulary: Vocabulary, source: object) -> list[Reading]:
    """Return the sequences in arrays, tensors or lists, as a network reads them.

    Args:
        vocabulary: of the network.
        source: one sequence, an array of sequences of one length, or a list of sequences: NumPy arrays, torch tensors
            or nested lists. A row of ids may end with padding (-1), which is dropped.

    Raises:
        ReadingError: the source does not hold sequences of ids or numbers, or an id is not in the vocabulary.
    """
    numbers = vocabulary.unit == "number"
    advice = _ADVICE_FOR_NUMBERS if numbers else _ADVICE_FOR_IDS
    axes = 2 if numbers else 1
    if isinstance(source, str | bytes) or source is None or not (hasattr(source, "__len__") or _is_array(source)):
        raise ReadingError("READINGS_SOURCE_TYPE", kind=_kind(source), advice=advice)
    if _is_array(source):
        array = _as_array(source, advice)
        if array.ndim not in (axes, axes + 1):
            raise ReadingError("READINGS_SOURCE_AXES", axes=axes, more=axes + 1, ndim=array.ndim, advice=advice)
        rows: Sequence[Any] = [array] if array.ndim == axes else list(array)
    else:
        rows = list(source)  # type: ignore[call-overload]
        if rows and all(_depth(row) == axes - 1 for row in rows):  # one sequence as a list
            rows = [rows]
    checked = _checked_numbers if numbers else _checked_ids
    return [checked(vocabulary, _as_array(row, advice), advice) for row in rows]


def check_ids(vocabulary: Vocabulary, low: int, high: int) -> None:
    """Refuse ids that are neither symbols of a vocabulary, nor its id of unknown symbols, nor padding.

    Args:
        vocabulary: of the network.
        low: the smallest id.
        high: the largest id.

    Raises:
        ReadingError: one of the two ids does not exist.
    """
    wrong = low if low < PADDING else high if high > vocabulary.unknown else None
    if wrong is not None:
        raise ReadingError("READINGS_ID_RANGE", last=vocabulary.unknown - 1, unknown=vocabulary.unknown, id=wrong)


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray | np.generic) or (hasattr(value, "detach") and hasattr(value, "numpy"))


def _depth(value: object) -> int:
    """Return the number of axes of nested lists or arrays, judged by their first elements."""
    if _is_array(value):
        return int(getattr(value, "ndim", 0))
    if isinstance(value, list | tuple | range):
        return 1 + (_depth(value[0]) if len(value) else 0)
    return 0


def _as_array(value: Any, advice: Message) -> NDArray[Any]:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
        value = value.numpy()
    if isinstance(value, str):
        raise ReadingError("READINGS_TEXTS_MIXED", kind=_kind(value), advice=advice)
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:  # rows of several lengths, or objects
        raise ReadingError("READINGS_SEQUENCE_RAGGED", kind=_kind(value), advice=advice) from error


def _checked_ids(vocabulary: Vocabulary, array: NDArray[Any], advice: Message) -> Reading:
    if array.ndim != 1:
        raise ReadingError("READINGS_IDS_AXES", ndim=array.ndim, advice=advice)
    if not array.size:
        return np.empty(0, np.int32)
    if array.dtype.kind not in "iu":
        raise ReadingError("READINGS_IDS_TYPE", dtype=array.dtype, first=array[0], advice=advice)
    check_ids(vocabulary, int(array.min()), int(array.max()))
    steps = np.flatnonzero(array != PADDING)
    length = int(steps[-1]) + 1 if steps.size else 0
    if len(steps) < length:
        step = int(np.flatnonzero(array[:length] == PADDING)[0])
        raise ReadingError("READINGS_IDS_PADDING", step=step, advice=advice)
    return array[:length].astype(np.int32)


def _checked_numbers(vocabulary: Vocabulary, array: NDArray[Any], advice: Message) -> Reading:
    if array.ndim != 2 or array.shape[1] != vocabulary.size:
        raise ReadingError("READINGS_NUMBERS_SHAPE", size=vocabulary.size, shape=array.shape, advice=advice)
    if array.dtype.kind not in "iuf":
        raise ReadingError("READINGS_NUMBERS_TYPE", dtype=array.dtype, advice=advice)
    with np.errstate(over="ignore"):
        values = array.astype(np.float32)
    if not np.isfinite(values).all():
        step, column = np.argwhere(~np.isfinite(values))[0].tolist()
        raise ReadingError(
            "READINGS_NUMBERS_FINITE", value=array[step, column], step=step, column=column, advice=advice
        )
    return values


def _kind(value: object) -> str:
    """Return the type of a value and the start of the value, on one line."""
    shown = " ".join(repr(value).split())
    return "nothing" if value is None else f"{type(value).__name__} {shown:.40}"
