"""Hidden layers between the highest recurrent layer and the readout: which matrices, in which order.

`H` input of a hidden layer, `O` its output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from gatescope.adopting.foreign import NONE, AdoptingError, listed, option, with_shapes
from gatescope.head import ACTIVATIONS

MAX_MATRICES = 5  # of a head whose order is searched for


def paths(matrices: Mapping[str, Tensor], width: int, last: str | None = None) -> Iterator[tuple[str, ...]]:
    """Yield every order in which all matrices read each other.

    Args:
        matrices: name -> (O, H).
        width: the count of outputs of the highest recurrent layer, which the first matrix reads.
        last: the name of the last matrix; any when None.
    """
    if not matrices or len(matrices) > MAX_MATRICES:
        return
    for name, value in matrices.items():
        if value.shape[1] != width:
            continue
        rest = {key: other for key, other in matrices.items() if key != name}
        if rest:
            yield from ((name, *path) for path in paths(rest, len(value), last))
        elif last in (None, name):
            yield (name,)


def activations(answer: str, count: int) -> tuple[str, ...]:
    """Return the activation of each hidden layer.

    Args:
        answer: one name for all layers, or one for each, separated by commas.
        count: the count of layers.

    Raises:
        AdoptingError: a name is unknown, or there are too many or too few.
    """
    names = tuple(name.strip() for name in answer.split(","))
    for name in names:
        if name not in ACTIVATIONS:
            raise AdoptingError(
                "FOREIGN_HEAD_ACTIVATION_UNKNOWN",
                option=option("head_activation", answer),
                names=", ".join(ACTIVATIONS),
                name=name,
            )
    if len(names) not in (1, count):
        raise AdoptingError(
            "FOREIGN_HEAD_ACTIVATIONS_COUNT_DIFFERS",
            option=option("head_activation", answer),
            expected=count,
            count=len(names),
            names=listed(names),
        )
    return names * count if len(names) == 1 else names


def chosen(matrices: Mapping[str, Tensor], width: int, names: Sequence[str]) -> tuple[str, ...]:
    """Return the hidden layers that the user or the file named, once they are known to read each other.

    Args:
        matrices: name -> (O, H).
        width: the count of outputs of the highest recurrent layer.
        names: the hidden layers, from the recurrent layers upwards.

    Raises:
        AdoptingError: a name is unknown, or a matrix does not read the one before.
    """
    for name in names:
        if name not in matrices:
            raise AdoptingError("MATRIX_NAME_UNKNOWN", option=option("head", name), names=listed(with_shapes(matrices)))
        if matrices[name].shape[1] != width:
            raise AdoptingError(
                "FOREIGN_HEAD_SHAPE_DIFFERS",
                option=option("head", *names),
                name=name,
                width=width,
                shape=tuple(matrices[name].shape),
            )
        width = len(matrices[name])
    return tuple(names)


def question(path: Sequence[str], matrices: Mapping[str, Tensor]) -> AdoptingError:
    """Return the question about the activations of a head.

    Args:
        path: the hidden layers from the recurrent layers upwards, then the readout.
        matrices: name -> (O, H).
    """
    *hidden, last = path
    return AdoptingError(
        "FOREIGN_HEAD_ACTIVATION_MISSING",
        hidden=listed(with_shapes({name: matrices[name] for name in hidden})),
        last=last,
        option=option("head_activation", "relu"),
        names=", ".join(ACTIVATIONS),
        none=option("readout", NONE),
        ignore=option("ignore", *hidden),
    )
