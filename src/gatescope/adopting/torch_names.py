"""Recurrent layers among arrays with names: torch's (`rnn.weight_ih_l0`), and those that people give (`w_ih`, `Wxh`).

State dicts, safetensors files and .npz files all come here. Names say which array has which part in a layer, shapes say
which cell it is: the recurrent weights of an LSTM are (4·N, N), of a GRU (3·N, N), of a simple network (N, N), gates in
torch's order (i f g o; r z n).

`N` neuron, `I` input, `G` drive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from gatescope.adopting.foreign import AdoptingError, Foreign, ForeignLayer, listed
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
OF_TORCH = re.compile(r"(?:.*\.)?(?:weight|bias)_(?:ih|hh|hr)(?:_l\d+)?(?:_reverse)?")  # whose layout is known
WHOLE = (torch.int64, torch.int32, torch.int16, torch.bool)  # what counts steps and positions, which are no weights
COUNTERS = re.compile(
    r"(?:.*[._/])?\w*(?:position|token_type|segment|num_batches|step|epoch|iter|count|version|len)\w*"
)
WRAPPERS = ("module.", "_orig_mod.", "model.", "state_dict.")  # put before every name by what torch wraps models in
GRU_BY_SHAPE = (
    "{name} was read as torch's GRU, because its weights have 3 rows for each neuron. An LSTM with coupled gates and a "
    "GRU that resets h before the recurrent product have the same arrays. To check, give a text that the network was "
    "trained for (--corpus or --text): its loss must be as low as in training, and below the unigram baseline."
)
ONE_BIAS_GRU = (
    "the GRU {name} has one bias. torch's GRU has two, because its candidate's recurrent product has one of its own; a "
    "GRU with one is most often another cell, which resets h before that product and cannot be computed here. If the "
    "other bias is 0, add it to the file as zeros under the name of a recurrent bias (b_hh)."
)


@dataclass(frozen=True)
class Part:
    """Where an array stands: which stack, which layer and direction of it, which of the weights."""

    stack: str
    layer: int
    reverse: bool
    role: str


def recurrent(
    arrays: Mapping[str, Tensor],
    format_name: str,
    nonlinearity: Nonlinearity | None = None,
    *,
    is_known: bool = False,
) -> Foreign:
    """The layers, and what is left.

    Args:
        arrays: every array of the file, weights or not.
        format_name: what the file is, in words.
        nonlinearity: of simple networks, which is in no file of weights.
        is_known: whether the recurrent weights are known to be those of torch.nn's own modules.

    Raises:
        AdoptingError: arrays that belong to one layer do not fit each other, a weight is stored in parts that are not
            understood, or a simple network has no nonlinearity.
    """
    arrays = _unwrapped({name: value for name, value in arrays.items() if not _counts(name, value)})
    unread = {name: tuple(value.shape) for name, value in arrays.items() if not usable(value)}
    arrays, whole = resolved({name: value for name, value in arrays.items() if name not in unread})
    everything = arrays
    others = unread | {name: tuple(value.shape) for name, value in arrays.items() if value.ndim > 2}
    arrays = {name: value for name, value in arrays.items() if name not in others}
    parts: dict[Part, str] = {}
    for name in arrays:
        part = _part(name)
        if part is not None and part in parts:
            raise AdoptingError("TORCH_NAMES_SAME_WEIGHTS_NAMES_TAKE", parts=parts[part], name=name)
        if part is not None:
            parts[part] = name
    places = {(p.stack, p.layer, p.reverse) for p in parts if p.role == "weight_hh"}
    places &= {(p.stack, p.layer, p.reverse) for p in parts if p.role == "weight_ih"}
    for stack in {place[0] for place in places}:
        numbers = sorted({number for name, number, _ in places if name == stack})
        if missing := set(range(numbers[-1] + 1)) - set(numbers):
            raise AdoptingError(
                "TORCH_NAMES_WEIGHTS_LAYERS_ABOVE_BUT", value=stack or "the network", value2=min(missing)
            )
    stacks: dict[str, list[ForeignLayer]] = {}
    notes, any_turned = whole, False
    used: set[str] = set()
    for stack, number, reverse in sorted(places):
        names = {p.role: n for p, n in parts.items() if (p.stack, p.layer, p.reverse) == (stack, number, reverse)}
        used |= set(names.values())
        name = f"{stack or 'recurrent'}, layer {number}{' backwards' if reverse else ''}"
        of_torch = all(map(OF_TORCH.fullmatch, names.values()))
        weights, turned = _oriented(name, {role: arrays[n] for role, n in names.items()}, of_torch)
        any_turned |= turned
        layer, said = layer_of(name, weights, reverse, nonlinearity)
        notes += said
        layer = replace(layer, ordered=len(layer.parameters.biases) == 1 or (of_torch and not turned))
        if layer.cell.name == "gru" and not is_known:
            notes.append(GRU_BY_SHAPE.format(name=name))
        stacks.setdefault(stack or "recurrent", []).append(layer)
    for stack, layers in stacks.items():
        _check_chain(stack, layers)
    rest = {name: value for name, value in everything.items() if name not in used}
    stacks, initial = with_initial_states(stacks, rest)
    others = {name: shape for name, shape in others.items() if name not in initial}
    rest = {name: value for name, value in rest.items() if name in arrays and name not in initial}
    matrices = {name: value for name, value in rest.items() if value.ndim == 2}
    vectors = {name: value.flatten() for name, value in rest.items() if value.ndim == 1 or 1 in value.shape}
    return Foreign(
        format_name,
        {stack: tuple(layers) for stack, layers in stacks.items()},
        matrices,
        vectors,
        others=others,
        turned=any_turned,
        notes=tuple(dict.fromkeys(notes)),
    )


def usable(value: object) -> bool:
    """Whether this can be a weight: a tensor of floating-point numbers with an axis or more."""
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.ndim > 0
        and value.numel() > 0
    )


def _counts(name: str, value: Tensor) -> bool:
    """Whether an array changes no number: it is empty, or counts steps or positions.

    Other whole numbers may be weights, an order of neurons or a mask.
    """
    return value.numel() == 0 or (
        value.dtype in WHOLE and (value.numel() == 1 or COUNTERS.fullmatch(name.lower()) is not None)
    )


def _unwrapped(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The arrays without prefixes that every name has because of what the model was wrapped in."""
    found = dict(arrays)
    while found and (prefix := next((p for p in WRAPPERS if all(n.startswith(p) for n in found)), None)):
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _part(name: str) -> Part | None:
    for pattern in PARTS:
        match = pattern.fullmatch(name)
        if match is None:
            continue
        found = match.groupdict()
        kind = "weight" if found["kind"].lower() in ("weight", "w") else "bias"
        part = {"xh": "ih", "h": "ih"}.get(found["part"].lower(), found["part"].lower())
        if kind == "weight" and found["part"].lower() == "h":
            return None
        return Part(
            found["stack"].rstrip("._/"), int(found.get("layer") or 0), bool(found.get("back")), f"{kind}_{part}"
        )
    return None


def _oriented(name: str, weights: Mapping[str, Tensor], of_torch: bool) -> tuple[dict[str, Tensor], bool]:
    """The weights as torch has them, (G·N, I) and (G·N, N or P), biases (G·N,); and whether they were turned round."""
    found = {role: value.float() for role, value in weights.items()}
    found |= {role: value.flatten() for role, value in found.items() if role.startswith("bias")}
    heard, echoed = found["weight_ih"], found["weight_hh"]
    if heard.ndim != 2 or echoed.ndim != 2:
        raise AdoptingError(
            "TORCH_NAMES_WEIGHTS_MATRICES", name=name, shape=tuple(heard.shape), shape2=tuple(echoed.shape)
        )
    rows, columns = echoed.shape
    if not of_torch and rows == columns and tuple(heard.shape) == (rows, rows):
        raise AdoptingError("TORCH_NAMES_LAYOUT_MATRICES_WHOSE_SHAPES", name=name, value=(rows, rows))
    turned = rows < columns or (rows == columns and heard.shape[0] != rows and heard.shape[1] == rows)
    if turned:
        found["weight_ih"], found["weight_hh"] = heard.t().contiguous(), echoed.t().contiguous()
    return found, turned


def layer_of(
    name: str, weights: Mapping[str, Tensor], reverse: bool, nonlinearity: Nonlinearity | None
) -> tuple[ForeignLayer, list[str]]:
    """One direction of one layer, and what was assumed.

    Args:
        name: how it is called.
        weights: "weight_ih", "weight_hh" and, where there are any, "bias_ih", "bias_hh", "weight_hr", in torch's
            layout. They are put into a module of torch's names, which knows what they mean.
        reverse: whether it reads the last step first.
        nonlinearity: of a simple network.

    Raises:
        AdoptingError: the shapes do not fit each other, or a simple network has no nonlinearity.
    """
    heard, echoed, projection = weights["weight_ih"], weights["weight_hh"], weights.get("weight_hr")
    rows, hears = echoed.shape
    neurons = hears if projection is None else projection.shape[1]
    gates, rest = divmod(rows, neurons)
    biases = [weights[role] for role in ("bias_ih", "bias_hh") if role in weights]
    shapes = [tuple(value.shape) for value in (heard, echoed, *biases)]
    fits = not rest and gates in KINDS and len(heard) == rows and all(len(bias) == rows for bias in biases)
    if not fits or (projection is not None and (gates != 4 or tuple(projection.shape) != (hears, neurons))):
        raise AdoptingError("TORCH_NAMES_WEIGHTS_SHAPES_LSTM_INPUTS", name=name, map=", ".join(map(str, shapes)))
    kind, notes = KINDS[gates], []
    if kind == "GRU" and len(biases) == 1:
        raise AdoptingError(ONE_BIAS_GRU.format(name=name))
    if kind == "RNN" and nonlinearity is None:
        raise AdoptingError("TORCH_NAMES_NONLINEARITY_TANH_RELU_FILES", name=name)
    options: dict[str, Any] = dict(bias=bool(biases), device="meta")
    if kind == "LSTM":
        module = LSTM(heard.shape[1], neurons, proj_size=0 if projection is None else hears, **options)
    elif kind == "GRU":
        module = GRU(heard.shape[1], neurons, **options)
    else:
        module = RNN(heard.shape[1], neurons, nonlinearity=nonlinearity, **options)
    own = {f"{role}_l0": value for role, value in weights.items()}
    if biases:
        own = {"bias_ih_l0": torch.zeros(rows), "bias_hh_l0": torch.zeros(rows)} | own
    module.load_state_dict(own, assign=True)
    direction = module.direction(0, False)
    values = {key: value.detach().clone() for key, value in direction.parameters.by_name().items()}
    layer = ForeignLayer(name, module.cell, replace(direction.parameters, **values), reverse, projection)
    return layer, notes


def _check_chain(stack: str, layers: list[ForeignLayer]) -> None:
    """Each layer reads what the one below hands on, both directions of it."""
    below: list[ForeignLayer] = []
    here: list[ForeignLayer] = []
    for layer in layers:
        if not layer.reverse:
            below, here = here, []
        here.append(layer)
        reads = sum(one.outputs for one in below)
        if below and layer.inputs != reads:
            raise AdoptingError(
                "TORCH_NAMES_READS_NUMBERS_LAYER_BELOW",
                name=layer.name,
                inputs=layer.inputs,
                reads=reads,
                stack=stack,
                listed=listed(one.name for one in layers),
            )
