"""Weights that a file stores in parts (weight norm, spectral norm, pruning, weight drop), put together.

What cannot be put together exactly is refused: the parts alone are not what the network computes with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from gatescope.adopting.foreign import AdoptingError, listed

NEW = re.compile(r"(?P<module>|.*\.)parametrizations\.(?P<weight>[^.]+)\.(?P<part>original\d*|\d+\..+)")
RAW = "_raw"


def resolved(arrays: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Return the arrays with every weight whole, and one sentence for each kind that was put together.

    Args:
        arrays: name -> array, as the file has them.

    Raises:
        AdoptingError: a weight is stored in parts whose rule is not known, or the parts do not fit each other.
    """
    found, notes = dict(arrays), list[str]()
    for rule in (_parametrized, _weight_norm, _spectral_norm, _pruned, _raw):
        found, changed = rule(found)
        if changed:
            notes.append(f"{RULES[rule.__name__]}: {listed(changed, 4)}.")
    return found, notes


RULES = {
    "_parametrized": "Put together from their parametrizations",
    "_weight_norm": "Put together from direction and length (weight norm)",
    "_spectral_norm": "Divided by their largest singular value (spectral norm)",
    "_pruned": "Multiplied with their masks (pruning)",
    "_raw": "Taken without dropout from the raw weights (weight drop)",
}

Changed = tuple[dict[str, Tensor], list[str]]


def _parametrized(arrays: dict[str, Tensor]) -> Changed:
    """torch.nn.utils.parametrizations: weight_norm and spectral_norm."""
    weights: dict[str, dict[str, Tensor]] = {}
    rest: dict[str, Tensor] = {}
    for name, value in arrays.items():
        match = NEW.fullmatch(name)
        if match is None:
            rest[name] = value
        else:
            weights.setdefault(match["module"] + match["weight"], {})[match["part"]] = value
    for name, parts in weights.items():
        if parts.keys() == {"original0", "original1"}:
            rest[name] = _by_norm(name, parts["original0"], parts["original1"])
        elif parts.keys() == {"original", "0._u", "0._v"}:
            rest[name] = _by_singular_value(name, parts["original"], parts["0._u"], parts["0._v"])
        else:
            raise AdoptingError(
                "PARAMETRIZATIONS_PARAMETRIZATION_WEIGHT_NORM_SPECTRAL", name=name, listed=listed(parts)
            )
    return rest, list(weights)


def _weight_norm(arrays: dict[str, Tensor]) -> Changed:
    """torch.nn.utils.weight_norm: NAME_g and NAME_v."""
    names = [n[:-2] for n in arrays if n.endswith("_g") and f"{n[:-2]}_v" in arrays]
    whole = {name: _by_norm(name, arrays[f"{name}_g"], arrays[f"{name}_v"]) for name in names}
    parts = {f"{name}{end}" for name in names for end in ("_g", "_v")}
    return {n: v for n, v in arrays.items() if n not in parts} | whole, names


def _by_norm(name: str, length: Tensor, direction: Tensor) -> Tensor:
    """g · v / |v|, where g has one entry for each row (the default of torch), for each column, or one in all."""
    axes = [k for k, size in enumerate(length.shape) if size == direction.shape[k : k + 1].numel() and size > 1]
    sizes = [direction.shape[k] if k in axes else 1 for k in range(direction.ndim)]
    if length.ndim not in (0, direction.ndim) or len(axes) > 1 or (length.ndim and list(length.shape) != sizes):
        raise AdoptingError(
            "PARAMETRIZATIONS_WEIGHT_NORM_LENGTHS_ROWS",
            name=name,
            shape=tuple(direction.shape),
            shape2=tuple(length.shape),
        )
    others = [k for k in range(direction.ndim) if k not in axes]
    return direction * (length / direction.double().norm(dim=others, keepdim=True).to(direction.dtype))


def _spectral_norm(arrays: dict[str, Tensor]) -> Changed:
    """torch.nn.utils.spectral_norm: NAME_orig with the singular vectors NAME_u and NAME_v."""
    names = [n[:-5] for n in arrays if n.endswith("_orig") and f"{n[:-5]}_u" in arrays and f"{n[:-5]}_v" in arrays]
    whole = {
        name: _by_singular_value(name, arrays[f"{name}_orig"], arrays[f"{name}_u"], arrays[f"{name}_v"])
        for name in names
    }
    parts = {f"{name}{end}" for name in names for end in ("_orig", "_u", "_v")}
    return {n: v for n, v in arrays.items() if n not in parts} | whole, names


def _by_singular_value(name: str, weight: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """W / (u · W v), as torch computes it while evaluating."""
    matrix = weight.flatten(1) if weight.ndim > 1 else weight
    if matrix.ndim != 2 or tuple(matrix.shape) != (left.numel(), right.numel()):
        raise AdoptingError(
            "PARAMETRIZATIONS_SPECTRAL_NORM_VECTORS_REMOVE",
            name=name,
            shape=tuple(weight.shape),
            shape2=tuple(left.shape),
            shape3=tuple(right.shape),
        )
    return weight / torch.dot(left.flatten(), matrix @ right.flatten())


def _pruned(arrays: dict[str, Tensor]) -> Changed:
    """torch.nn.utils.prune: NAME_orig and NAME_mask."""
    names = [n[:-5] for n in arrays if n.endswith("_orig") and f"{n[:-5]}_mask" in arrays]
    for name in names:
        if arrays[f"{name}_orig"].shape != arrays[f"{name}_mask"].shape:
            raise AdoptingError("PARAMETRIZATIONS_PRUNING_MASK_OWN_SHAPE", name=name)
    whole = {name: arrays[f"{name}_orig"] * arrays[f"{name}_mask"] for name in names}
    parts = {f"{name}{end}" for name in names for end in ("_orig", "_mask")}
    return {n: v for n, v in arrays.items() if n not in parts} | whole, names


def _raw(arrays: dict[str, Tensor]) -> Changed:
    """Weight drop (Merity, Keskar and Socher 2018): NAME_raw is the weight, NAME or module.NAME a dropped copy."""
    raw = [name for name in arrays if name.endswith(RAW)]
    found = {name: value for name, value in arrays.items() if name not in raw}
    for name in raw:
        module, _, weight = name.removesuffix(RAW).rpartition(".")
        inner = f"{module}.module." if module else "module."
        place = f"{inner}{weight}" if any(key.startswith(inner) for key in arrays) else name.removesuffix(RAW)
        found[place] = arrays[name]
    return found, [name.removesuffix(RAW) for name in raw]
