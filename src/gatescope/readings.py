"""What a network is given to read, in every form in which people have it, checked.

`S` sequence, `T` step, `I` number of a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.errors import GatescopeError
from gatescope.vocabulary import PADDING, Reading, Vocabulary

_NEXT = "Give a text, a list of texts, or ids as whole numbers, (T,) or (S, T)."
_NEXT_NUMBERS = "Give a text, a list of texts, or numbers, (T, I) or (S, T, I)."


class ReadingError(GatescopeError):
    """Something that the network cannot read; the message says what it can."""


def texts_in(source: object) -> list[str] | None:
    """Return the texts that were given, one or several; None where something else was given.

    Raises:
        ReadingError: there are texts and other things.
    """
    if isinstance(source, str):
        return [str(source)]
    if isinstance(source, np.ndarray) and source.dtype.kind in "UO" and source.ndim == 1:
        source = source.tolist()
    if not isinstance(source, list | tuple) or not any(isinstance(one, str) for one in source):
        return None
    for one in source:
        if not isinstance(one, str):
            raise ReadingError("READINGS_LIST_TEXTS_TEXTS_AMONG", kind=_kind(one), next=_NEXT)
    return [str(one) for one in source]


def readings(vocabulary: Vocabulary, source: object) -> list[Reading]:
    """Return the sequences in arrays of ids or numbers, each as the network reads it.

    A row of an array of ids may end with padding (-1), which is left out.

    Args:
        vocabulary: of the network.
        source: one sequence, an array of sequences of one length, or a list of sequences: NumPy arrays, torch tensors
            or nested lists.

    Raises:
        ReadingError: these are no sequences of ids or numbers, or an id is beyond the vocabulary.
    """
    numbers = vocabulary.unit == "number"
    advice = _NEXT_NUMBERS if numbers else _NEXT
    axes = 2 if numbers else 1
    if isinstance(source, str | bytes) or source is None or not (hasattr(source, "__len__") or _is_array(source)):
        raise ReadingError("READINGS_READ_SEQUENCES", kind=_kind(source), advice=advice)
    if _is_array(source):
        array = _array(source, advice)
        if array.ndim not in (axes, axes + 1):
            raise ReadingError("READINGS_READ_AXES", axes=axes, value=axes + 1, ndim=array.ndim, advice=advice)
        rows: Sequence[Any] = [array] if array.ndim == axes else list(array)
    else:
        rows = list(source)  # type: ignore[call-overload]
        if rows and all(_depth(row) == axes - 1 for row in rows):  # one sequence as a list
            rows = [rows]
    check = _numbers if numbers else _ids
    return [check(vocabulary, _array(row, advice), advice) for row in rows]


def check_ids(vocabulary: Vocabulary, low: int, high: int) -> None:
    """Refuse ids beyond the vocabulary: those are neither its symbols, nor its id of the unknown, nor padding.

    Args:
        vocabulary: of the network.
        low: the smallest id.
        high: the largest id.

    Raises:
        ReadingError: one of them does not exist.
    """
    wrong = low if low < PADDING else high if high > vocabulary.unknown else None
    if wrong is not None:
        raise ReadingError(
            "READINGS_IDS_UNKNOWN_ENCODE_TEXT", value=vocabulary.unknown - 1, unknown=vocabulary.unknown, wrong=wrong
        )


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray | np.generic) or (hasattr(value, "detach") and hasattr(value, "numpy"))


def _depth(value: object) -> int:
    """How many axes the nested lists or arrays have, as far as their first elements say."""
    if _is_array(value):
        return int(getattr(value, "ndim", 0))
    if isinstance(value, list | tuple | range):
        return 1 + (_depth(value[0]) if len(value) else 0)
    return 0


def _array(value: Any, advice: str) -> NDArray[Any]:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
        value = value.numpy()
    if isinstance(value, str):
        raise ReadingError("READINGS_LIST_TEXTS_TEXTS_OTHER", advice=advice)
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:  # rows of several lengths, or objects
        raise ReadingError("READINGS_SEQUENCE_ARRAY_SEVERAL_SHAPES", kind=_kind(value), advice=advice) from error


def _ids(vocabulary: Vocabulary, array: NDArray[Any], advice: str) -> Reading:
    if array.ndim != 1:
        raise ReadingError("READINGS_SEQUENCE_IDS_AXIS", ndim=array.ndim, advice=advice)
    if not array.size:
        return np.empty(0, np.int32)
    if array.dtype.kind not in "iu":
        raise ReadingError("READINGS_IDS_WHOLE_NUMBERS", dtype=array.dtype, array=array[0], advice=advice)
    check_ids(vocabulary, int(array.min()), int(array.max()))
    inside = np.flatnonzero(array != PADDING)
    length = int(inside[-1]) + 1 if inside.size else 0
    if len(inside) < length:
        place = int(np.flatnonzero(array[:length] == PADDING)[0])
        raise ReadingError("READINGS_IDS_PADDING_END_STEP", place=place, advice=advice)
    return array[:length].astype(np.int32)


def _numbers(vocabulary: Vocabulary, array: NDArray[Any], advice: str) -> Reading:
    if array.ndim != 2 or array.shape[1] != vocabulary.size:
        raise ReadingError("READINGS_SEQUENCE_SHAPE", size=vocabulary.size, shape=array.shape, advice=advice)
    if array.dtype.kind not in "iuf":
        raise ReadingError("READINGS_SEQUENCE_NUMBERS", dtype=array.dtype, advice=advice)
    with np.errstate(over="ignore"):
        values = array.astype(np.float32)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0].tolist()
        raise ReadingError(
            "READINGS_SEQUENCE_FINITE_NUMBERS_STEP", array=array[row, column], row=row, column=column, advice=advice
        )
    return values


def _kind(value: object) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {value!r:.40}"
