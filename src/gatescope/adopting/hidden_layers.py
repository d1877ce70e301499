"""Hidden layers between the highest recurrent layer and the readout: which matrices, in which order.

`H` what is read, `O` rows of the readout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from gatescope.adopting.foreign import AdoptingError, listed
from gatescope.head import ACTIVATIONS

MAX_MATRICES = 5  # of a head whose order is looked for


def paths(matrices: Mapping[str, Tensor], width: int, last: str | None = None) -> Iterator[tuple[str, ...]]:
    """Yield every order in which all matrices read each other, the first one `width` numbers.

    Args:
        matrices: name -> (O, H).
        width: how many numbers the highest recurrent layer hands on.
        last: which the last is; any when None.
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


def activations(given: str, count: int) -> tuple[str, ...]:
    """Return the activation of each of so many hidden layers: one for all, or as many as there are.

    Raises:
        AdoptingError: a name is none, or there are too many or too few.
    """
    names = tuple(name.strip() for name in given.split(","))
    for name in names:
        if name not in ACTIVATIONS:
            raise AdoptingError("HIDDEN_LAYERS_HEAD_ACTIVATION", activations=", ".join(ACTIVATIONS), name=name)
    if len(names) not in (1, count):
        raise AdoptingError("HIDDEN_LAYERS_HEAD_ACTIVATION_NAMES", count=count, count2=len(names), listed=listed(names))
    return names * count if len(names) == 1 else names


def chosen(matrices: Mapping[str, Tensor], width: int, names: Sequence[str]) -> tuple[str, ...]:
    """Return the hidden layers that the user named, after a look at what reads what.

    Raises:
        AdoptingError: one is not there, or does not read the one before.
    """
    for name in names:
        if name not in matrices:
            raise AdoptingError("HIDDEN_LAYERS_HEAD_MATRIX_FILE", name=name, listed=listed(matrices))
        if matrices[name].shape[1] != width:
            raise AdoptingError(
                "HIDDEN_LAYERS_HEAD_MATRIX_READS_NUMBERS", name=name, width=width, shape=tuple(matrices[name].shape)
            )
        width = len(matrices[name])
    return tuple(names)


def question(path: Sequence[str], matrices: Mapping[str, Tensor]) -> AdoptingError:
    """Return the question about the activations of a head."""
    *hidden, last = path
    between = listed(f"{name} {tuple(matrices[name].shape)}" for name in hidden)
    return AdoptingError(
        "HIDDEN_LAYERS_ACTIVATION_FOLLOWS_SEEMS_STAND",
        between=between,
        last=last,
        activations=", ".join(ACTIVATIONS),
        hidden=",".join(hidden),
    )
