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
            raise AdoptingError(f"--head-activation: expected one of {', '.join(ACTIVATIONS)}, got {name!r}.")
    if len(names) not in (1, count):
        raise AdoptingError(f"--head-activation: expected 1 or {count} names, got {len(names)}: {listed(names)}.")
    return names * count if len(names) == 1 else names


def chosen(matrices: Mapping[str, Tensor], width: int, names: Sequence[str]) -> tuple[str, ...]:
    """Return the hidden layers that the user named, after a look at what reads what.

    Raises:
        AdoptingError: one is not there, or does not read the one before.
    """
    for name in names:
        if name not in matrices:
            raise AdoptingError(f"--head {name}: expected a matrix of the file: {listed(matrices)}.")
        if matrices[name].shape[1] != width:
            raise AdoptingError(
                f"--head {name}: expected a matrix that reads {width} numbers, got {tuple(matrices[name].shape)}. Name "
                "the hidden layers from the recurrent layers upwards."
            )
        width = len(matrices[name])
    return tuple(names)


def question(path: Sequence[str], matrices: Mapping[str, Tensor]) -> AdoptingError:
    """Return the question about the activations of a head."""
    *hidden, last = path
    between = listed(f"{name} {tuple(matrices[name].shape)}" for name in hidden)
    return AdoptingError(
        f"Which activation follows {between}, which seems to stand between the last layer and {last}? Files of weights "
        f"do not record it. Give it: --head-activation {', '.join(ACTIVATIONS)}. If it stands elsewhere: "
        f"--readout none --ignore {','.join(hidden)}."
    )
