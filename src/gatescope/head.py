"""Hidden layers of the readout, between the highest recurrent layer and the predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gatescope.errors import GatescopeError
from gatescope.names import unknown

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda values: values,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": functional.gelu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "selu": functional.selu,
    "silu": functional.silu,
    "softplus": functional.softplus,
}
"""Name of an activation -> the function, with the default arguments of torch.nn."""


class HeadError(GatescopeError):
    """A hidden layer of a readout that cannot be made; the message says what was expected."""


@dataclass(frozen=True)
class HiddenLayer:
    """One hidden layer of the readout: activation(W x + b).

    Attributes:
        neurons: the number of rows of W.
        activation: the name of the activation, one of ACTIVATIONS.

    Raises:
        HeadError: the number is not positive, or there is no such activation.
    """

    neurons: int
    activation: str

    def __post_init__(self) -> None:
        if type(self.neurons) is not int or self.neurons < 1:
            raise HeadError("HEAD_NEURONS", neurons=self.neurons)
        if self.activation not in ACTIVATIONS:
            raise HeadError(unknown("Activation of a hidden layer", self.activation, ACTIVATIONS))

    def to_json(self) -> dict[str, Any]:
        """Return the layer as JSON."""
        return {"neurons": self.neurons, "activation": self.activation}

    @classmethod
    def from_json(cls, data: Any) -> HiddenLayer:
        """Return the layer that `to_json` wrote.

        Args:
            data: the parsed JSON.

        Raises:
            HeadError: the data do not describe a hidden layer.
        """
        if not isinstance(data, dict) or not {"neurons", "activation"} <= data.keys():
            raise HeadError("HEAD_JSON_FIELDS")
        if not isinstance(data["activation"], str):
            raise HeadError(unknown("Activation of a hidden layer", data["activation"], ACTIVATIONS))
        return cls(data["neurons"], data["activation"])


def apply(layer: HiddenLayer, weights: Tensor, biases: Tensor, values: Tensor) -> Tensor:
    """Return the values of one hidden layer, (..., neurons).

    Args:
        layer: its size and activation.
        weights: (neurons, inputs).
        biases: (neurons,).
        values: the inputs of the layer, (..., inputs).
    """
    return ACTIVATIONS[layer.activation](functional.linear(values, weights, biases))
