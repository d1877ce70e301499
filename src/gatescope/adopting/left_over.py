"""Arrays of a file that do not belong to the run: without influence, ignored on request, or refused.

An array that the run does not have may still have changed the numbers of the original. Only these cannot: copies of an
array that is used, arrays that the user ignores, and, without a readout, what reads the highest layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from gatescope.adopting.foreign import NONE, AdoptingError, Foreign, listed, option

# Words in the names of what reads a recurrent stack, of what may be anywhere, and of what is before or inside one.
READOUT_WORDS = re.compile(
    r"(?<![a-z])(out|output|decoder|head|classif\w*|pred\w*|logits?|attn|attention|crf|readout|generator|softmax|scor\w*|"
    r"tags?|hidden2\w+|h2o|why|by|lm)(?![a-z])"
)
ATTENTION_WORDS = re.compile(r"(?<![a-z])(attn|attention|scor\w*)(?![a-z])")
DENSE_WORDS = re.compile(r"(?<![a-z])(fc\d*|linear\d*|lin\d*|dense\d*|mlp\d*)(?![a-z])")
INPUT_WORDS = re.compile(
    r"norm|(?<![a-z])(ln|bn|gn|conv|cnn|emb\w*|encoder|input|in|front\w*|pos\w*|cell|init\w*|h_?0|c_?0)"
)
MAX_LISTED = 6  # arrays that an error lists


def ignored_names(foreign: Foreign, patterns: Sequence[str]) -> set[str]:
    """Return the names that the user ignores.

    Args:
        foreign: the file.
        patterns: names, or patterns such as "encoder.*".

    Raises:
        AdoptingError: a pattern matches no array.
    """
    names = list(dict.fromkeys([*foreign.matrices, *foreign.vectors, *foreign.others, *foreign.stacks]))
    ignored: set[str] = set()
    for pattern in patterns:
        matching = {name for name in names if fnmatchcase(name, pattern)}
        matching |= {name for name in foreign.stacks if fnmatchcase(f"{name}.", pattern)}
        if not matching:
            raise AdoptingError("IGNORE_MATCHES_NOTHING", option=option("ignore", pattern), names=listed(names))
        ignored |= matching
    return ignored


def without(foreign: Foreign, names: Iterable[str]) -> Foreign:
    """Return the file without some of its arrays.

    Args:
        foreign: the file.
        names: the arrays and stacks to leave out.
    """
    left_out = set(names)
    return replace(
        foreign,
        matrices={name: value for name, value in foreign.matrices.items() if name not in left_out},
        vectors={name: value for name, value in foreign.vectors.items() if name not in left_out},
        others={name: shape for name, shape in foreign.others.items() if name not in left_out},
        stacks={name: layers for name, layers in foreign.stacks.items() if name not in left_out},
    )


def copies(foreign: Foreign) -> set[str]:
    """Return the names of arrays that are the same parameter as another one.

    A square matrix does not count: a layer that is applied twice is in a file as two equal ones.
    """
    wide = {name: value for name, value in foreign.matrices.items() if len(value) != value.shape[1]}
    repeated = _repeated(wide)
    modules = {name.rpartition(".")[0] for name in foreign.matrices if name not in repeated} - {""}
    owned = {name: value for name, value in foreign.vectors.items() if name.rpartition(".")[0] in modules}
    repeated |= _repeated({**owned, **foreign.vectors}) - owned.keys()
    copied_modules = {name.rpartition(".")[0] for name in repeated if name in foreign.matrices}
    beside = {name for name in foreign.vectors if name.rpartition(".")[0] in copied_modules}
    return repeated | {name for name in beside if _has_equal(foreign.vectors[name], name, foreign.vectors)}


def _repeated(arrays: Mapping[str, Tensor]) -> set[str]:
    """Return the names of arrays that are equal to one before them."""
    names, by_shape = set[str](), dict[tuple[int, ...], list[Tensor]]()
    for name, value in arrays.items():
        same_shape = by_shape.setdefault(tuple(value.shape), [])
        # Arrays of one repeated number, as biases of 0 are, are not known to be one parameter.
        varies = value.numel() > 1 and bool((value != value.flatten()[0]).any())
        if varies and any(torch.equal(value, other) for other in same_shape):
            names.add(name)
        same_shape.append(value)
    return names


def _has_equal(value: Tensor, name: str, vectors: Mapping[str, Tensor]) -> bool:
    """Return whether another vector has the same numbers."""
    return any(other is not value and key != name and torch.equal(other, value) for key, other in vectors.items())


def check_left_over(foreign: Foreign, used: set[str], inputs: int, width: int, *, readout: bool) -> list[str]:
    """Return a note about arrays that are left out without influence; refuse arrays that could have any.

    Args:
        foreign: the file without the ignored arrays, and without copies.
        used: the names of the arrays of the run.
        inputs: the count of inputs of the lowest layer.
        width: the count of outputs of the highest layer.
        readout: whether the run has one.

    Raises:
        AdoptingError: arrays are left over that could change a number.
    """
    shapes = dict(foreign.others)
    shapes |= {name: tuple(value.shape) for name, value in {**foreign.vectors, **foreign.matrices}.items()}
    rest = {name: shape for name, shape in shapes.items() if name not in used}
    after = set() if readout else _after_layers(foreign, rest, inputs, width)
    doubtful = [name for name in rest if name not in after]
    if not doubtful:
        note = f"Left out, because they are after the last layer: {listed(f'{name} {rest[name]}' for name in after)}."
        return [note] if after else []
    inside = [name for name in doubtful if any(name.startswith(f"{stack}.") for stack in foreign.stacks)]
    if inside:
        arrays = listed((f"{name} {rest[name]}" for name in inside), MAX_LISTED)
        raise AdoptingError("ARRAYS_INSIDE_LAYERS", arrays=arrays)
    facts = {
        "arrays": listed((f"{name} {rest[name]}" for name in doubtful), MAX_LISTED),
        "ignore": option("ignore", *doubtful[:MAX_LISTED], *(["..."] if len(doubtful) > MAX_LISTED else [])),
        "pattern": option("ignore", "encoder.*"),
    }
    if readout:
        raise AdoptingError("ARRAYS_LEFT_OVER_OR_HEAD", none=option("readout", NONE), **facts)
    raise AdoptingError("ARRAYS_LEFT_OVER", **facts)


def _after_layers(foreign: Foreign, rest: Mapping[str, tuple[int, ...]], inputs: int, width: int) -> set[str]:
    """Return the names of what reads the highest layer, by name and shape, and what reads that in turn.

    A linear layer with as many outputs as the lowest layer has inputs may as well be before it; so may attention that
    reads as many.
    """
    widths, names = {width}, set[str]()
    matrices = {
        name: value
        for name, value in foreign.matrices.items()
        if name in rest and is_readout(name) and (len(value) != inputs or READOUT_WORDS.search(name.lower()))
        if value.shape[1] != inputs or not ATTENTION_WORDS.search(name.lower())
    }
    for _ in range(len(matrices)):
        for name, value in matrices.items():
            if name not in names and value.shape[1] in widths:
                names.add(name)
                widths.add(len(value))
    modules = {name.rpartition(".")[0] for name in names}
    return names | {
        name for name in foreign.vectors if name in rest and is_readout(name) and _is_bias_of(name, modules, names)
    }


def is_readout(name: str) -> bool:
    """Return whether an array is named like one that reads recurrent layers, and not like one before them."""
    low = name.lower()
    return bool(READOUT_WORDS.search(low) or DENSE_WORDS.search(low)) and not INPUT_WORDS.search(low)


def _is_bias_of(name: str, modules: set[str], matrices: set[str]) -> bool:
    """Return whether a vector belongs to one of these matrices: it is in its module, or has a similar name."""
    module = name.rpartition(".")[0]
    return module in modules if module else any(name[:2].lower() == other[:2].lower() for other in matrices)
