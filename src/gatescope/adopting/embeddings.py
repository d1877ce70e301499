"""The embedding of an adopted network: the vectors of the symbols, one-hot vectors, or plain numbers.

`V` symbol, `I` input.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from gatescope.adopting.foreign import (
    ONE_HOT,
    AdoptingError,
    Foreign,
    ForeignLayer,
    listed,
    numbers_option,
    option,
    with_shapes,
)
from gatescope.adopting.left_over import is_readout
from gatescope.adopting.predicting import is_embedding
from gatescope.errors import setting
from gatescope.vocabulary import Vocabulary

NUMBERS = "numbers"  # the name of the embedding of a network that reads numbers


def embedded_symbols(foreign: Foreign, layers: Sequence[str] = (), embedding: str | None = None) -> int | None:
    """Return how many symbols the network has vectors for; None if the symbols must be known first.

    Args:
        foreign: the file.
        layers: the recurrent layers that the user named.
        embedding: the embedding that the user named.
    """
    name = embedding or foreign.embedding
    if name is not None and name in foreign.matrices:
        return len(foreign.matrices[name])
    chosen = [stack[0] for name, stack in foreign.stacks.items() if not layers or name == layers[0]]
    if name is not None or len(chosen) != 1:
        return None
    width = chosen[0].inputs
    rows = {len(value) for name, value in foreign.matrices.items() if is_embedding(name) and value.shape[1] == width}
    return rows.pop() if len(rows) == 1 else None


def embedding_of(
    foreign: Foreign, vocabulary: Vocabulary, stack: str, first: ForeignLayer, answer: str | None
) -> tuple[Float[Tensor, "V I"] | None, str]:
    """Return the vectors of the symbols and their name; None for one-hot vectors and numbers.

    Args:
        foreign: the file.
        vocabulary: the symbols, or the names of the numbers.
        stack: the lowest stack.
        first: its lowest layer.
        answer: the name that the user gave.

    Raises:
        AdoptingError: several matrices fit, or none does.
    """
    between, size = foreign.before.get(stack) or foreign.below.get(stack), (vocabulary.size, first.inputs)
    if vocabulary.unit == "number":
        _check_numbers(foreign, vocabulary, first, answer, between)
        return None, NUMBERS
    if between is not None and answer is None:
        raise AdoptingError(
            "FOREIGN_EMBEDDING_INPUT_COMPUTED",
            name=first.name,
            between=between,
            numbers=numbers_option(first.inputs),
            option=option("embedding", NUMBERS),
        )
    if answer == ONE_HOT or (answer is None and foreign.embedding == ONE_HOT):
        _check_one_hot(size, first)
        return None, ONE_HOT
    if answer is not None:
        return _named(foreign, answer, size), answer
    fitting = [name for name, value in foreign.matrices.items() if tuple(value.shape) == size]
    name = foreign.embedding
    if name is not None and name in foreign.matrices:
        if name not in fitting:
            raise _wrong_size(foreign, name, vocabulary)
        return foreign.matrices[name], name
    named = [name for name in fitting if is_embedding(name)]
    for names in (named, fitting):
        if len(names) == 1 and (named or (size[0] != size[1] and not is_readout(names[0]))):
            return foreign.matrices[names[0]], names[0]
    if not fitting and size[0] == size[1]:
        return None, ONE_HOT
    if fitting:
        names = [*fitting, *([ONE_HOT] if size[0] == size[1] else [])]
        raise AdoptingError(
            "FOREIGN_EMBEDDING_AMBIGUOUS",
            symbols=size[0],
            numbers=size[1],
            names=listed(names),
            option=option("embedding", fitting[0]),
        )
    reading = [name for name, value in foreign.matrices.items() if value.shape[1] == first.inputs]
    likely = [name for name in reading if is_embedding(name)] or reading
    if likely:
        raise _wrong_size(foreign, likely[0], vocabulary)
    _check_one_hot(size, first)
    return None, ONE_HOT


def _named(foreign: Foreign, name: str, size: tuple[int, int]) -> Tensor:
    """Return an embedding that the user named, transposed if only that fits."""
    if name not in foreign.matrices:
        raise AdoptingError(
            "MATRIX_NAME_UNKNOWN", option=option("embedding", name), names=listed(with_shapes(foreign.matrices))
        )
    value = foreign.matrices[name]
    if tuple(value.shape) == size:
        return value
    if tuple(value.shape) == size[::-1]:
        return value.t()
    raise AdoptingError(
        "FOREIGN_EMBEDDING_SHAPE_DIFFERS",
        option=option("embedding", name),
        size=size,
        shape=tuple(value.shape),
    )


def _check_numbers(
    foreign: Foreign, vocabulary: Vocabulary, first: ForeignLayer, answer: str | None, between: str | None
) -> None:
    """Refuse numbers if the network reads symbols, or other numbers."""
    if between is not None and answer is None:
        raise AdoptingError(
            "FOREIGN_EMBEDDING_NUMBERS_COMPUTED",
            name=first.name,
            between=between,
            count=first.inputs,
            option=option("embedding", NUMBERS),
        )
    if answer not in (None, NUMBERS):
        raise AdoptingError(
            "FOREIGN_EMBEDDING_OF_NUMBERS", option=option("embedding", str(answer)), right=option("embedding", NUMBERS)
        )
    if vocabulary.size != first.inputs:
        raise AdoptingError(
            "INPUTS_COUNT_DIFFERS",
            name=first.name,
            inputs=first.inputs,
            count=vocabulary.size,
            names=listed(vocabulary.symbols),
            option=numbers_option(first.inputs),
        )
    if foreign.embedding is not None and foreign.embedding in foreign.matrices and between is None:
        shape = tuple(foreign.matrices[foreign.embedding].shape)
        raise AdoptingError(
            "INPUTS_ARE_SYMBOLS",
            name=first.name,
            embedding=foreign.embedding,
            shape=shape,
            rows=shape[0],
            option=setting("vocabulary", None),
        )


def _wrong_size(foreign: Foreign, name: str, vocabulary: Vocabulary) -> AdoptingError:
    """Return the error about an embedding that has more or fewer rows than the vocabulary has symbols."""
    shape = tuple(foreign.matrices[name].shape)
    return AdoptingError(
        "FOREIGN_VOCABULARY_SIZE_DIFFERS", name=name, shape=shape, rows=shape[0], symbols=vocabulary.size
    )


def _check_one_hot(size: tuple[int, int], first: ForeignLayer) -> None:
    """Refuse one-hot vectors if the first layer reads another count of numbers than there are symbols."""
    if size[0] != size[1]:
        raise AdoptingError(
            "FOREIGN_EMBEDDING_MISSING",
            name=first.name,
            inputs=size[1],
            symbols=size[0],
            embedding=option("embedding"),
            numbers=numbers_option(size[1]),
        )
