"""What a file holds besides the network that was made of it: without influence, ruled out by the user, or refused.

An array that the run does not have may still have changed the numbers of the original. Only these cannot: copies of an
array that is used, what the user ruled out, and, without a readout, what reads the highest layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from gatescope.adopting.foreign import AdoptingError, Foreign, listed

# Words in the names of what reads a recurrent stack, of what may stand anywhere, and of what is before or inside one.
BEHIND = re.compile(
    r"(?<![a-z])(out|output|decoder|head|classif\w*|pred\w*|logits?|attn|attention|crf|readout|generator|softmax|scor\w*|"
    r"tags?|hidden2\w+|h2o|why|by|lm)(?![a-z])"
)
ATTENTION = re.compile(r"(?<![a-z])(attn|attention|scor\w*)(?![a-z])")
ANYWHERE = re.compile(r"(?<![a-z])(fc\d*|linear\d*|lin\d*|dense\d*|mlp\d*)(?![a-z])")
BEFORE = re.compile(
    r"norm|(?<![a-z])(ln|bn|gn|conv|cnn|emb\w*|encoder|input|in|front\w*|pos\w*|cell|init\w*|h_?0|c_?0)"
)


def ignored_names(foreign: Foreign, patterns: Sequence[str]) -> set[str]:
    """Return the names that the user ruled out.

    Args:
        foreign: the file.
        patterns: names, or patterns such as "encoder.*".

    Raises:
        AdoptingError: a pattern fits no array.
    """
    names = list(dict.fromkeys([*foreign.matrices, *foreign.vectors, *foreign.others, *foreign.stacks]))
    found: set[str] = set()
    for pattern in patterns:
        fitting = {name for name in names if fnmatchcase(name, pattern)}
        fitting |= {name for name in foreign.stacks if fnmatchcase(f"{name}.", pattern)}
        if not fitting:
            raise AdoptingError("LEFT_OVER_IGNORE_NAME_ARRAY_LEFT", pattern=pattern, listed=listed(names))
        found |= fitting
    return found


def without(foreign: Foreign, names: Iterable[str]) -> Foreign:
    """Return the file without some of its arrays."""
    gone = set(names)
    return replace(
        foreign,
        matrices={name: value for name, value in foreign.matrices.items() if name not in gone},
        vectors={name: value for name, value in foreign.vectors.items() if name not in gone},
        others={name: shape for name, shape in foreign.others.items() if name not in gone},
        stacks={name: layers for name, layers in foreign.stacks.items() if name not in gone},
    )


def copies(foreign: Foreign) -> set[str]:
    """Return the names of arrays that are the same as another one: one parameter under two names.

    A square matrix is none: a layer that is applied twice is in a file as two equal ones.
    """
    wide = {name: value for name, value in foreign.matrices.items() if len(value) != value.shape[1]}
    found = _copies(wide)
    modules = {name.rpartition(".")[0] for name in foreign.matrices if name not in found} - {""}
    owned = {name: value for name, value in foreign.vectors.items() if name.rpartition(".")[0] in modules}
    found |= _copies({**owned, **foreign.vectors}) - owned.keys()
    matrices = {name.rpartition(".")[0] for name in found if name in foreign.matrices}
    beside = {name for name in foreign.vectors if name.rpartition(".")[0] in matrices}
    return found | {name for name in beside if _repeated(foreign.vectors[name], name, foreign.vectors)}


def _copies(arrays: Mapping[str, Tensor]) -> set[str]:
    """The names of arrays that are the same as one before them."""
    found, before = set[str](), dict[tuple[int, ...], list[Tensor]]()
    for name, value in arrays.items():
        alike = before.setdefault(tuple(value.shape), [])
        # Arrays of one repeated number, as biases of 0 are, are not known to be one parameter.
        same = value.numel() > 1 and bool((value != value.flatten()[0]).any())
        if same and any(torch.equal(value, other) for other in alike):
            found.add(name)
        alike.append(value)
    return found


def _repeated(value: Tensor, name: str, vectors: Mapping[str, Tensor]) -> bool:
    return any(other is not value and key != name and torch.equal(other, value) for key, other in vectors.items())


def check_left_over(foreign: Foreign, used: set[str], inputs: int, width: int, *, readout: bool) -> list[str]:
    """Return a sentence about what is left out without influence; refuse what could have any.

    Args:
        foreign: the file without what the user ruled out, and without copies.
        used: the names of the arrays of the run.
        inputs: how many numbers the lowest layer reads.
        width: how many numbers the highest layer hands on.
        readout: whether the run has one.

    Raises:
        AdoptingError: arrays are left over that could change a number.
    """
    shapes = dict(foreign.others)
    shapes |= {name: tuple(value.shape) for name, value in {**foreign.vectors, **foreign.matrices}.items()}
    rest = {name: shape for name, shape in shapes.items() if name not in used}
    behind = set() if readout else _reading(foreign, rest, inputs, width)
    doubtful = [name for name in rest if name not in behind]
    if not doubtful:
        said = f"Left out behind the last layer: {listed(f'{name} {rest[name]}' for name in behind)}."
        return [said] if behind else []
    what = listed((f"{name} {rest[name]}" for name in doubtful), 6)
    inside = [name for name in doubtful if any(name.startswith(f"{stack}.") for stack in foreign.stacks)]
    if inside:
        raise AdoptingError(
            "LEFT_OVER_ARRAYS_LEFT_OVER_STAND", listed=listed((f"{name} {rest[name]}" for name in inside), 6)
        )
    ways = "If they are no part of the network, rule them out: --ignore "
    ways += f"{','.join(doubtful[:6])}{',...' if len(doubtful) > 6 else ''} (patterns such as 'encoder.*' work)."
    if readout:
        ways += " If they stand between the last layer and the predictions, take the states alone: --readout none."
    raise AdoptingError("LEFT_OVER_ARRAYS_LEFT_OVER_EVERY", what=what, ways=ways)


def _reading(foreign: Foreign, rest: Mapping[str, tuple[int, ...]], inputs: int, width: int) -> set[str]:
    """The names of what reads the highest layer, by name and shape, and what reads that.

    A linear layer that gives as many numbers as the lowest layer reads may as well stand before it, and attention that
    reads as many.
    """
    widths, found = {width}, set[str]()
    matrices = {
        name: value
        for name, value in foreign.matrices.items()
        if name in rest and is_readout(name) and (len(value) != inputs or BEHIND.search(name.lower()))
        if value.shape[1] != inputs or not ATTENTION.search(name.lower())
    }
    for _ in range(len(matrices)):
        for name, value in matrices.items():
            if name not in found and value.shape[1] in widths:
                found.add(name)
                widths.add(len(value))
    modules = {name.rpartition(".")[0] for name in found}
    found |= {name for name in foreign.vectors if name in rest and is_readout(name) and _bias_of(name, modules, found)}
    return found


def is_readout(name: str) -> bool:
    """Whether an array is called as what reads recurrent layers is, and not as what stands before them."""
    low = name.lower()
    return bool(BEHIND.search(low) or ANYWHERE.search(low)) and not BEFORE.search(low)


def _bias_of(name: str, modules: set[str], matrices: set[str]) -> bool:
    """Whether a vector belongs to one of these: it stands in its module, or is called as it is."""
    module = name.rpartition(".")[0]
    return module in modules if module else any(name[:2].lower() == other[:2].lower() for other in matrices)
