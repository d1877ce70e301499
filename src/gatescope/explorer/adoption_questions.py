"""Questions about a dropped file: what the readers of foreign networks refuse to guess, with the answers that fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatescope.adopting import AdoptingError
from gatescope.adopting.foreign import NONE, ONE_HOT, Foreign
from gatescope.explorer.sentences import error_json
from gatescope.head import ACTIVATIONS
from gatescope.messages import Message

SYMBOLS = ("vocabulary", "corpus", "inputs")
NUMBERS = "numbers"
MAX_CHOICES = 200

ANSWERS_OF: dict[str, tuple[str, ...]] = {
    "ACT_ADOPT_SYMBOLS": SYMBOLS,
    "ARRAYS_LEFT_OVER": ("ignore",),
    "ARRAYS_LEFT_OVER_OR_HEAD": ("ignore", "readout"),
    "DIRECTIONS_ONLY_ONE": ("directions",),
    "DIRECTIONS_SIZES_DIFFER": ("layers",),
    "FOREIGN_EMBEDDING_AMBIGUOUS": ("embedding",),
    "FOREIGN_EMBEDDING_INPUT_COMPUTED": ("inputs", "embedding"),
    "FOREIGN_EMBEDDING_MISSING": ("embedding", *SYMBOLS),
    "FOREIGN_EMBEDDING_NUMBERS_COMPUTED": ("embedding",),
    "FOREIGN_EMBEDDING_OF_NUMBERS": ("embedding",),
    "FOREIGN_EMBEDDING_SHAPE_DIFFERS": ("embedding", *SYMBOLS),
    "FOREIGN_HEAD_ACTIVATIONS_COUNT_DIFFERS": ("head_activation",),
    "FOREIGN_HEAD_ACTIVATION_MISSING": ("head_activation", "readout", "ignore"),
    "FOREIGN_HEAD_ACTIVATION_UNKNOWN": ("head_activation",),
    "FOREIGN_HEAD_ORDER_AMBIGUOUS": ("head",),
    "FOREIGN_HEAD_SHAPE_DIFFERS": ("head",),
    "FOREIGN_READOUT_AMBIGUOUS": ("readout",),
    "FOREIGN_READOUT_MAYBE_TIED": ("readout",),
    "FOREIGN_READOUT_MISSING": ("readout",),
    "FOREIGN_READOUT_NAMES_COUNT_DIFFERS": ("names",),
    "FOREIGN_READOUT_OTHER": ("readout",),
    "FOREIGN_READOUT_SHAPE_DIFFERS": ("readout",),
    "FOREIGN_VOCABULARY_CHARACTERS_TOO_LONG": ("unit",),
    "FOREIGN_VOCABULARY_MARK_UNKNOWN": ("end", "unknown"),
    "FOREIGN_VOCABULARY_SEVERAL": ("entry",),
    "FOREIGN_VOCABULARY_ENTRY_UNKNOWN": ("entry",),
    "FOREIGN_VOCABULARY_SIZE_DIFFERS": SYMBOLS,
    "FOREIGN_VOCABULARY_UNIT_UNKNOWN": ("unit",),
    "GATES_LETTERS_DIFFER": ("gates",),
    "GATES_ORDER_DIFFERS": ("gates",),
    "GATES_ORDER_UNKNOWN": ("gates",),
    "IGNORE_MATCHES_NOTHING": ("ignore",),
    "INPUTS_ARE_SYMBOLS": ("vocabulary", "corpus"),
    "INPUTS_COUNT_DIFFERS": ("inputs",),
    "LAYERS_AMBIGUOUS": ("layers",),
    "LAYERS_LEFT_OVER": ("layers", "ignore"),
    "LAYERS_NAME_MISSPELT": ("layers",),
    "LAYERS_NAME_UNKNOWN": ("layers",),
    "LAYERS_ORDER_DIFFERS": ("layers",),
    "LAYERS_SIZES_DIFFER": ("layers",),
    "MATRIX_NAME_UNKNOWN": ("embedding", "readout", "head"),
    "PREDICTS_SYMBOLS_OF_NUMBERS": ("predicts",),
    "PREDICTS_UNKNOWN": ("predicts",),
    "READS_UNKNOWN": ("reads", "readout"),
    "READS_UNKNOWN_OF_DIRECTIONS": ("reads",),
    "TOKENIZER_UNIT_MISSING": ("unit",),
    "TORCH_NONLINEARITY_MISSING": ("nonlinearity",),
}
"""The code of an error of the readers -> the answers, any of which resolves it. Any other error is a refusal."""

FIXED: dict[str, Sequence[str]] = {
    "directions": ("concat", "sum", "average"),
    "head_activation": tuple(ACTIVATIONS),
    "nonlinearity": ("tanh", "relu"),
    "predicts": ("symbols", "classes", "numbers"),
    "reads": ("every step", "last step"),
    "unit": ("character", "word", "token"),
    "vocabulary": ("bytes",),
}
"""Answers with few values, whatever the file."""


def question_of(error: AdoptingError, foreign: Foreign | None) -> dict[str, Any]:
    """Return the question that an error of the readers asks.

    Args:
        error: the error.
        foreign: the weights of the file; None if they could not be read without an answer.

    Raises:
        AdoptingError: no answer can resolve the error.
    """
    names = ANSWERS_OF.get(error.code)
    if names is None:
        raise error
    choices = {name: values for name in names if (values := _choices(name, error, foreign))}
    return error_json(error.message) | {"answers": list(names), "choices": choices}


def symbols_question() -> dict[str, Any]:
    """Return the question which symbols or numbers the network reads, which no file of weights records."""
    sentence = Message("ACT_ADOPT_SYMBOLS")
    return error_json(sentence) | {"answers": list(SYMBOLS), "choices": {"vocabulary": ["bytes"]}}


def _choices(name: str, error: AdoptingError, foreign: Foreign | None) -> list[str]:
    """Return the values that an answer may have; none if it is typed or a file."""
    if name == "gates":
        own = error.values.get("own")
        return ["ifgo", "iofg"] if own == "ifgo" else [own] if isinstance(own, str) else []
    if name in FIXED:
        values = list(FIXED[name])
        return [value for value in values if value != "symbols"] if error.code.startswith("PREDICTS_") else values
    if foreign is None:
        return []
    matrices = list(foreign.matrices)
    lists = {
        "layers": list(foreign.stacks),
        "embedding": [*matrices, ONE_HOT, NUMBERS],
        "readout": [*matrices, NONE],
        "head": matrices,
        "ignore": [*foreign.stacks, *matrices, *foreign.vectors, *foreign.others],
    }
    return lists.get(name, [])[:MAX_CHOICES]
