"""Recurrent layers among named arrays: torch's names (`rnn.weight_ih_l0`), and free ones (`w_ih`, `Wxh`).

State dicts, safetensors files and .npz files are read here. Names show which part of which layer an array is. Shapes
show the cell: the recurrent weights of an LSTM are (4·N, N), of a GRU (3·N, N), of a simple RNN (N, N), with the
gates in torch's order (i f g o; r z n).

`N` neuron, `I` input, `G` gate, `P` projected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from gatescope.adopting.foreign import AdoptingError, Foreign, ForeignLayer, listed, option
from gatescope.adopting.initial_states import with_initial_states
from gatescope.adopting.parametrizations import resolved
from gatescope.nn import GRU, LSTM, RNN

Nonlinearity = Literal["tanh", "relu"]

KINDS = {4: "LSTM", 3: "GRU", 1: "RNN"}
PARTS = (
    # torch.nn.LSTM: weight_ih_l0, bias_hh_l1_reverse; torch.nn.LSTMCell: weight_ih; in free names w_ih, b_hh, W_ih_0
    re.compile(
        r"(?P<stack>|.*?[._/])(?P<kind>weight|bias|w|b)_?(?P<part>ih|hh|hr)(?:_?l?(?P<layer>\d+))?(?P<back>_reverse)?",
        re.IGNORECASE,
    ),
    # Karpathy's min-char-rnn and its descendants: Wxh, Whh, bh
    re.compile(r"(?P<stack>|.*?[._/])(?P<kind>w|b)_?(?P<part>xh|h)", re.IGNORECASE),
)
TORCH_NAME = re.compile(r"(?:.*\.)?(?:weight|bias)_(?:ih|hh|hr)(?:_l\d+)?(?:_reverse)?")  # implies torch's layout
INTEGER_TYPES = (torch.int64, torch.int32, torch.int16, torch.bool)
COUNTERS = re.compile(
    r"(?:.*[._/])?\w*(?:position|token_type|segment|num_batches|step|epoch|iter|count|version|len)\w*"
)
WRAPPERS = ("module.", "_orig_mod.", "model.", "state_dict.")  # prefixes of every name of a wrapped model
GRU_BY_SHAPE = (
    "{name} was read as torch's GRU, because its weights have 3 rows for each neuron. An LSTM with coupled gates and a "
    "GRU that resets h before the recurrent product have the same arrays. To check, give a text that the network was "
    "trained for (--corpus or --text): its loss must be as low as in training, and below the unigram baseline."
)


@dataclass(frozen=True)
class Part:
    """The place of an array in a file.

    Attributes:
        stack: the module that it belongs to.
        layer: the number of its layer.
        reverse: whether it belongs to the backward direction.
        role: "weight_ih", "weight_hh", "weight_hr", "bias_ih" or "bias_hh".
    """

    stack: str
    layer: int
    reverse: bool
    role: str


def recurrent(
    arrays: Mapping[str, Tensor],
    format_name: str,
    nonlinearity: Nonlinearity | None = None,
    *,
    from_torch_modules: bool = False,
) -> Foreign:
    """Return the recurrent layers among arrays, and the other arrays.

    Args:
        arrays: name -> every array of the file, weights or not.
        format_name: the format of the file, in words.
        nonlinearity: activation of simple RNN layers. Weight files do not record it.
        from_torch_modules: whether all recurrent weights come from torch.nn's own modules.

    Raises:
        AdoptingError: arrays of one layer do not fit each other, a weight is stored in unknown parts, or the
            nonlinearity of a simple RNN is missing.
    """
    arrays = _unwrapped({name: value for name, value in arrays.items() if not _is_counter(name, value)})
    unread = {name: tuple(value.shape) for name, value in arrays.items() if not is_weight(value)}
    everything, notes = resolved({name: value for name, value in arrays.items() if name not in unread})
    others = unread | {name: tuple(value.shape) for name, value in everything.items() if value.ndim > 2}
    arrays = {name: value for name, value in everything.items() if name not in others}
    parts = _parts(arrays)
    places = {(p.stack, p.layer, p.reverse) for p in parts if p.role == "weight_hh"}
    places &= {(p.stack, p.layer, p.reverse) for p in parts if p.role == "weight_ih"}
    _check_numbers(places)
    stacks: dict[str, list[ForeignLayer]] = {}
    any_transposed, used = False, set[str]()
    for stack, number, reverse in sorted(places):
        names = {p.role: n for p, n in parts.items() if (p.stack, p.layer, p.reverse) == (stack, number, reverse)}
        used |= set(names.values())
        name = f"{stack or 'recurrent'}, layer {number}{' backwards' if reverse else ''}"
        of_torch = all(map(TORCH_NAME.fullmatch, names.values()))
        weights, transposed = _oriented(name, {role: arrays[n] for role, n in names.items()}, of_torch)
        any_transposed |= transposed
        layer = layer_of(name, weights, reverse, nonlinearity)
        layer = replace(layer, ordered=len(layer.parameters.biases) == 1 or (of_torch and not transposed))
        if layer.cell.name == "gru" and not from_torch_modules:
            notes.append(GRU_BY_SHAPE.format(name=name))
        stacks.setdefault(stack or "recurrent", []).append(layer)
    for stack, layers in stacks.items():
        _check_chain(stack, layers)
    rest = {name: value for name, value in everything.items() if name not in used}
    stacks, initial = with_initial_states(stacks, rest)
    others = {name: shape for name, shape in others.items() if name not in initial}
    rest = {name: value for name, value in rest.items() if name in arrays and name not in initial}
    return Foreign(
        format_name,
        {stack: tuple(layers) for stack, layers in stacks.items()},
        {name: value for name, value in rest.items() if value.ndim == 2},
        {name: value.flatten() for name, value in rest.items() if value.ndim == 1 or 1 in value.shape},
        others=others,
        transposed=any_transposed,
        notes=tuple(dict.fromkeys(notes)),
    )


def is_weight(value: object) -> bool:
    """Return whether this can be a weight: a tensor of floating-point numbers with at least one axis."""
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.ndim > 0
        and value.numel() > 0
    )


def _is_counter(name: str, value: Tensor) -> bool:
    """Return whether an array changes no number: it is empty, or counts steps or positions.

    Other integers may be weights, an order of neurons or a mask.
    """
    return value.numel() == 0 or (
        value.dtype in INTEGER_TYPES and (value.numel() == 1 or COUNTERS.fullmatch(name.lower()) is not None)
    )


def _unwrapped(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the arrays without the prefixes that every name has because the model was wrapped."""
    bare = dict(arrays)
    while bare and (prefix := next((p for p in WRAPPERS if all(n.startswith(p) for n in bare)), None)):
        bare = {name.removeprefix(prefix): value for name, value in bare.items()}
    return bare


def _parts(arrays: Mapping[str, Tensor]) -> dict[Part, str]:
    """Return the name of each part of a recurrent layer.

    Raises:
        AdoptingError: two names mean the same part.
    """
    parts: dict[Part, str] = {}
    for name in arrays:
        part = _part(name)
        if part is not None and part in parts:
            raise AdoptingError("TORCH_WEIGHTS_REPEATED", first=parts[part], second=name)
        if part is not None:
            parts[part] = name
    return parts


def _part(name: str) -> Part | None:
    """Return the place that a name stands for; None if it is no part of a recurrent layer."""
    for pattern in PARTS:
        match = pattern.fullmatch(name)
        if match is None:
            continue
        fields = match.groupdict()
        kind = "weight" if fields["kind"].lower() in ("weight", "w") else "bias"
        part = {"xh": "ih", "h": "ih"}.get(fields["part"].lower(), fields["part"].lower())
        if kind == "weight" and fields["part"].lower() == "h":
            return None
        return Part(
            fields["stack"].rstrip("._/"), int(fields.get("layer") or 0), bool(fields.get("back")), f"{kind}_{part}"
        )
    return None


def _check_numbers(places: set[tuple[str, int, bool]]) -> None:
    """Refuse a stack in which a layer is missing."""
    for stack in {place[0] for place in places}:
        numbers = sorted({number for name, number, _ in places if name == stack})
        if missing := set(range(numbers[-1] + 1)) - set(numbers):
            raise AdoptingError(
                "TORCH_LAYER_MISSING",
                stack=stack or "the network",
                numbers=", ".join(map(str, numbers)),
                missing=min(missing),
            )


def _oriented(name: str, weights: Mapping[str, Tensor], of_torch: bool) -> tuple[dict[str, Tensor], bool]:
    """Return the weights in torch's layout, (G·N, I), (G·N, N or P) and (G·N,), and whether they were transposed.

    Raises:
        AdoptingError: a weight is no matrix, or its shape does not show the layout.
    """
    values = {role: value.float() for role, value in weights.items()}
    values |= {role: value.flatten() for role, value in values.items() if role.startswith("bias")}
    inputs, recurrents = values["weight_ih"], values["weight_hh"]
    if inputs.ndim != 2 or recurrents.ndim != 2:
        raise AdoptingError(
            "TORCH_WEIGHTS_NO_MATRICES",
            name=name,
            input_shape=tuple(inputs.shape),
            recurrent_shape=tuple(recurrents.shape),
        )
    rows, columns = recurrents.shape
    if not of_torch and rows == columns and tuple(inputs.shape) == (rows, rows):
        raise AdoptingError("TORCH_LAYOUT_AMBIGUOUS", name=name, shape=(rows, rows))
    transposed = rows < columns or (rows == columns and inputs.shape[0] != rows and inputs.shape[1] == rows)
    if transposed:
        values["weight_ih"], values["weight_hh"] = inputs.t().contiguous(), recurrents.t().contiguous()
    return values, transposed


def layer_of(
    name: str, weights: Mapping[str, Tensor], reverse: bool, nonlinearity: Nonlinearity | None
) -> ForeignLayer:
    """Return one direction of one layer.

    The weights are put into a module of `gatescope.nn`, which has torch's names and knows what they mean.

    Args:
        name: the name of the layer.
        weights: "weight_ih", "weight_hh" and, if the layer has them, "bias_ih", "bias_hh", "weight_hr", in torch's
            layout.
        reverse: whether the layer reads the last step first.
        nonlinearity: activation of a simple RNN layer.

    Raises:
        AdoptingError: the shapes do not fit each other, or the nonlinearity of a simple RNN is missing.
    """
    inputs, recurrents, projection = weights["weight_ih"], weights["weight_hh"], weights.get("weight_hr")
    rows, width = recurrents.shape  # the width of the fed-back h: neurons, or projected
    neurons = width if projection is None else projection.shape[1]
    gates, remainder = divmod(rows, neurons)
    biases = [weights[role] for role in ("bias_ih", "bias_hh") if role in weights]
    shapes = [tuple(value.shape) for value in (inputs, recurrents, *biases)]
    fits = not remainder and gates in KINDS and len(inputs) == rows and all(len(bias) == rows for bias in biases)
    if not fits or (projection is not None and (gates != 4 or tuple(projection.shape) != (width, neurons))):
        raise AdoptingError("TORCH_SHAPES_OF_NO_CELL", name=name, shapes=", ".join(map(str, shapes)))
    kind = KINDS[gates]
    if kind == "GRU" and len(biases) == 1:
        raise AdoptingError("TORCH_GRU_ONE_BIAS", name=name)
    if kind == "RNN" and nonlinearity is None:
        raise AdoptingError(
            "TORCH_NONLINEARITY_MISSING",
            name=name,
            tanh=option("nonlinearity", "tanh"),
            relu=option("nonlinearity", "relu"),
        )
    options: dict[str, Any] = dict(bias=bool(biases), device="meta")
    if kind == "LSTM":
        module = LSTM(inputs.shape[1], neurons, proj_size=0 if projection is None else width, **options)
    elif kind == "GRU":
        module = GRU(inputs.shape[1], neurons, **options)
    else:
        module = RNN(inputs.shape[1], neurons, nonlinearity=nonlinearity, **options)
    state_dict = {f"{role}_l0": value for role, value in weights.items()}
    if biases:
        state_dict = {"bias_ih_l0": torch.zeros(rows), "bias_hh_l0": torch.zeros(rows)} | state_dict
    module.load_state_dict(state_dict, assign=True)
    direction = module.direction(0, False)
    values = {key: value.detach().clone() for key, value in direction.parameters.by_name().items()}
    return ForeignLayer(name, module.cell, replace(direction.parameters, **values), reverse, projection)


def _check_chain(stack: str, layers: list[ForeignLayer]) -> None:
    """Refuse a layer that cannot read both directions of the layer below."""
    below: list[ForeignLayer] = []
    level: list[ForeignLayer] = []
    for layer in layers:
        if not layer.reverse:
            below, level = level, []
        level.append(layer)
        outputs = sum(lower.outputs for lower in below)
        if below and layer.inputs != outputs:
            raise AdoptingError(
                "TORCH_LAYERS_SIZES_DIFFER",
                name=layer.name,
                inputs=layer.inputs,
                outputs=outputs,
                stack=stack,
                layers=listed(other.name for other in layers),
            )
