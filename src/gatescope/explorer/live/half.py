"""Weights in half precision: a live file of half the size, and what that changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatescope.explorer.live.container import LiveFileError
from gatescope.messages import Message
from gatescope.network import Network, padded, passes, predictions_of
from gatescope.sources import sequences_of
from gatescope.vocabulary import Reading

TABLE_DIGITS = 3  # significant digits of the tables beside rounded weights


@dataclass(frozen=True)
class HalfChange:
    """The difference between a network and the same network with float16 weights.

    Attributes:
        weight: the largest change of a weight.
        prediction: the largest change of a probability, or of a predicted number, over the examples.
        steps: the number of steps of the examples.
        is_probability: whether `prediction` is about probabilities.
    """

    weight: float
    prediction: float
    steps: int
    is_probability: bool

    @property
    def sentence(self) -> Message:
        """The change as one sentence."""
        code = "LIVE_HALF_PROBABILITY" if self.is_probability else "LIVE_HALF_NUMBER"
        return Message(code, weight=self.weight, prediction=self.prediction, steps=self.steps)


def to_half(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights in float16.

    Args:
        weights: name -> weight.

    Raises:
        LiveFileError: a weight is too large for float16.
    """
    halves = {name: weight.detach().to(torch.float16) for name, weight in weights.items()}
    for name, half in halves.items():
        if not bool(torch.isfinite(half).all()):
            raise LiveFileError("LIVE_HALF_TOO_LARGE", name=name, largest=float(weights[name].abs().max()))
    return halves


def rounded(value: Any) -> Any:
    """Return a JSON value with each fraction rounded to TABLE_DIGITS digits, which the page shows; whole digits stay.

    Args:
        value: the value, such as a table of a study.
    """
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    if not isinstance(value, float) or value == 0 or not math.isfinite(value):
        return value
    return round(value, max(0, TABLE_DIGITS - 1 - math.floor(math.log10(abs(value)))))


def measure(network: Network, examples: Sequence[str]) -> HalfChange:
    """Run a network with its own and with float16 weights on the examples, and return the largest differences.

    Args:
        network: the network; it is not changed.
        examples: texts.

    Raises:
        LiveFileError: a weight is too large for float16.
    """
    weights = network.state_dict()
    halves = to_half(weights)
    rounded = Network(network.configuration)
    rounded.load_state_dict(halves)
    rounded.eval()
    sequences = [sequence for text in examples for sequence in sequences_of(network, text)]
    is_probability = network.configuration.readout.kind != "numbers"
    differences = [0.0]
    for sequence in sequences:
        exact, approximate = (_predictions(each, sequence) for each in (network, rounded))
        if is_probability:
            exact, approximate = exact.exp(), approximate.exp()
        differences.append(float((exact - approximate).abs().max()))
    changes = [(weights[name] - half.to(weights[name].dtype)).abs().flatten() for name, half in halves.items()]
    weight = float(torch.cat(changes).max())
    return HalfChange(weight, max(differences), sum(map(len, sequences)), is_probability)


def _predictions(network: Network, sequence: Reading) -> Tensor:
    """Return what the page shows of a sequence: many-to-one networks are read out at every step there as well."""
    tokens, lengths = padded([sequence])
    runs = passes(network, torch.from_numpy(tokens).transpose(0, 1), torch.from_numpy(lengths), reads="every step")
    return torch.cat([predictions_of(network.configuration, run.output.logits) for run in runs])
