"""Weights that a file stores in parts: weight norm, spectral norm, pruning and weight drop.

Parts that cannot be put together exactly are refused: the network does not compute with the parts alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from gatescope.adopting.foreign import AdoptingError, listed

PARAMETRIZED = re.compile(r"(?P<module>|.*\.)parametrizations\.(?P<weight>[^.]+)\.(?P<part>original\d*|\d+\..+)")
RAW_SUFFIX = "_raw"


def resolved(arrays: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Return the arrays with every weight whole, and one note for each kind of parts.

    Args:
        arrays: name -> array, as the file has them.

    Raises:
        AdoptingError: a weight is stored in parts whose rule is unknown, or the parts do not fit each other.
    """
    whole, notes = dict(arrays), list[str]()
    for rule in (_parametrized, _weight_norm, _spectral_norm, _pruned, _raw):
        whole, changed = rule(whole)
        if changed:
            notes.append(f"{NOTES[rule.__name__]}: {listed(changed, 4)}.")
    return whole, notes


NOTES = {
    "_parametrized": "Put together from their parametrizations",
    "_weight_norm": "Put together from direction and length (weight norm)",
    "_spectral_norm": "Divided by their largest singular value (spectral norm)",
    "_pruned": "Multiplied by their masks (pruning)",
    "_raw": "Taken without dropout from the raw weights (weight drop)",
}

Changed = tuple[dict[str, Tensor], list[str]]


def _parametrized(arrays: dict[str, Tensor]) -> Changed:
    """Put together weights of torch.nn.utils.parametrizations: weight_norm and spectral_norm."""
    weights: dict[str, dict[str, Tensor]] = {}
    rest: dict[str, Tensor] = {}
    for name, value in arrays.items():
        match = PARAMETRIZED.fullmatch(name)
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
            raise AdoptingError("PARAMETRIZATION_UNKNOWN", name=name, parts=listed(parts))
    return rest, list(weights)


def _weight_norm(arrays: dict[str, Tensor]) -> Changed:
    """Put together weights of torch.nn.utils.weight_norm: NAME_g and NAME_v."""
    names = [n[:-2] for n in arrays if n.endswith("_g") and f"{n[:-2]}_v" in arrays]
    whole = {name: _by_norm(name, arrays[f"{name}_g"], arrays[f"{name}_v"]) for name in names}
    parts = {f"{name}{end}" for name in names for end in ("_g", "_v")}
    return {n: v for n, v in arrays.items() if n not in parts} | whole, names


def _by_norm(name: str, length: Tensor, direction: Tensor) -> Tensor:
    """Return g · v / |v|; g has one entry for each row (torch's default), one for each column, or one in all."""
    axes = [k for k, size in enumerate(length.shape) if size == direction.shape[k : k + 1].numel() and size > 1]
    sizes = [direction.shape[k] if k in axes else 1 for k in range(direction.ndim)]
    if length.ndim not in (0, direction.ndim) or len(axes) > 1 or (length.ndim and list(length.shape) != sizes):
        raise AdoptingError(
            "WEIGHT_NORM_SHAPES_DIFFER",
            name=name,
            direction=tuple(direction.shape),
            length=tuple(length.shape),
        )
    others = [k for k in range(direction.ndim) if k not in axes]
    return direction * (length / direction.double().norm(dim=others, keepdim=True).to(direction.dtype))


def _spectral_norm(arrays: dict[str, Tensor]) -> Changed:
    """Put together weights of torch.nn.utils.spectral_norm: NAME_orig, singular vectors NAME_u and NAME_v."""
    names = [n[:-5] for n in arrays if n.endswith("_orig") and f"{n[:-5]}_u" in arrays and f"{n[:-5]}_v" in arrays]
    whole = {
        name: _by_singular_value(name, arrays[f"{name}_orig"], arrays[f"{name}_u"], arrays[f"{name}_v"])
        for name in names
    }
    parts = {f"{name}{end}" for name in names for end in ("_orig", "_u", "_v")}
    return {n: v for n, v in arrays.items() if n not in parts} | whole, names


def _by_singular_value(name: str, weight: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return W / (u · W v), as torch computes it while evaluating."""
    matrix = weight.flatten(1) if weight.ndim > 1 else weight
    if matrix.ndim != 2 or tuple(matrix.shape) != (left.numel(), right.numel()):
        raise AdoptingError(
            "SPECTRAL_NORM_SHAPES_DIFFER",
            name=name,
            weight=tuple(weight.shape),
            left=tuple(left.shape),
            right=tuple(right.shape),
        )
    return weight / torch.dot(left.flatten(), matrix @ right.flatten())


def _pruned(arrays: dict[str, Tensor]) -> Changed:
    """Put together weights of torch.nn.utils.prune: NAME_orig and NAME_mask."""
    names = [n[:-5] for n in arrays if n.endswith("_orig") and f"{n[:-5]}_mask" in arrays]
    for name in names:
        weight, mask = tuple(arrays[f"{name}_orig"].shape), tuple(arrays[f"{name}_mask"].shape)
        if weight != mask:
            raise AdoptingError("PRUNING_SHAPES_DIFFER", name=name, weight=weight, mask=mask)
    whole = {name: arrays[f"{name}_orig"] * arrays[f"{name}_mask"] for name in names}
    parts = {f"{name}{end}" for name in names for end in ("_orig", "_mask")}
    return {n: v for n, v in arrays.items() if n not in parts} | whole, names


def _raw(arrays: dict[str, Tensor]) -> Changed:
    """Take the weights of weight drop (Merity, Keskar and Socher 2018), NAME_raw, for their dropped copies, NAME."""
    raw = [name for name in arrays if name.endswith(RAW_SUFFIX)]
    whole = {name: value for name, value in arrays.items() if name not in raw}
    for name in raw:
        module, _, weight = name.removesuffix(RAW_SUFFIX).rpartition(".")
        inner = f"{module}.module." if module else "module."
        copy = f"{inner}{weight}" if any(key.startswith(inner) for key in arrays) else name.removesuffix(RAW_SUFFIX)
        whole[copy] = arrays[name]
    return whole, [name.removesuffix(RAW_SUFFIX) for name in raw]
