"""The readout: what a network predicts (symbols, classes or numbers), and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from gatescope.errors import GatescopeError
from gatescope.names import unknown

Kind = Literal["symbols", "classes", "numbers"]
Reads = Literal["every step", "last step"]


class ReadoutError(GatescopeError):
    """A readout that cannot be made; the message says what was expected."""


@dataclass(frozen=True)
class Readout:
    """The predictions from the hidden state of the highest layer.

    Attributes:
        kind: "symbols": a probability for each symbol of the vocabulary; "classes": for each of `names`; "numbers": an
            estimate of each of `names`.
        names: the names of the classes or numbers; empty for symbols, which the vocabulary names.
        quantiles: the levels at which each number is estimated, rising, such as (0.1, 0.5, 0.9); empty for its mean.
        reads: "every step": a prediction after each step (many to many); "last step": one prediction after the last
            step of each sequence (many to one).

    Raises:
        ReadoutError: the values do not fit each other.
    """

    kind: Kind = "symbols"
    names: tuple[str, ...] = ()
    quantiles: tuple[float, ...] = ()
    reads: Reads = "every step"

    def __post_init__(self) -> None:
        for name, value, choices in (("Kind", self.kind, get_args(Kind)), ("Time", self.reads, get_args(Reads))):
            if value not in choices:
                raise ReadoutError(unknown(f"{name} of a readout", value, choices))
        if self.kind == "symbols" and self.names:
            raise ReadoutError("READOUT_SYMBOLS_NAMED")
        if self.kind != "symbols" and not self.names:
            raise ReadoutError("READOUT_NAMES_EMPTY", kind=self.kind)
        if len(set(self.names)) != len(self.names):
            raise ReadoutError("READOUT_NAMES_REPEATED", names=", ".join(self.names[:9]))
        rising = all(0 < low < high < 1 for low, high in zip(self.quantiles, self.quantiles[1:], strict=False))
        if self.quantiles and not (self.kind == "numbers" and rising and 0 < self.quantiles[0] < 1):
            raise ReadoutError("READOUT_QUANTILES", quantiles=self.quantiles, kind=self.kind)

    def size(self, symbols: int) -> int:
        """Return the number of predicted values.

        Args:
            symbols: the number of symbols of the vocabulary.
        """
        return len(self.names) * max(1, len(self.quantiles)) or symbols

    @property
    def value_names(self) -> tuple[str, ...]:
        """The names of the predicted values: classes, numbers, or quantiles ("x q0.1"); empty for symbols."""
        return tuple(f"{name} q{level:g}" for name in self.names for level in self.quantiles) or self.names

    def to_json(self) -> dict[str, Any]:
        """Return the readout as JSON."""
        return {
            "kind": self.kind,
            "names": list(self.names),
            "quantiles": list(self.quantiles),
            "reads": self.reads,
        }

    @classmethod
    def from_json(cls, data: Any) -> Readout:
        """Return the readout that `to_json` wrote.

        Args:
            data: the parsed JSON.

        Raises:
            ReadoutError: the data do not describe a readout.
        """
        fields = ("kind", "names", "quantiles", "reads")
        if not isinstance(data, dict) or any(name not in data for name in fields):
            raise ReadoutError("READOUT_JSON_FIELDS", fields=", ".join(fields))
        names, levels = data["names"], data["quantiles"]
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ReadoutError("READOUT_JSON_NAMES", names=names)
        if not (isinstance(levels, list) and all(type(level) is float for level in levels)):
            raise ReadoutError("READOUT_JSON_QUANTILES", quantiles=levels)
        return cls(data["kind"], tuple(names), tuple(levels), data["reads"])


SYMBOLS = Readout()
"""A probability for each symbol of the vocabulary, after every step."""


def classes(names: Iterable[str], reads: Reads = "every step") -> Readout:
    """Return a readout of classes.

    Args:
        names: the names of the classes.
        reads: when to predict.
    """
    return Readout("classes", tuple(names), reads=reads)


def numbers(names: Iterable[str], quantiles: tuple[float, ...] = (), reads: Reads = "every step") -> Readout:
    """Return a readout of numbers, or of their quantiles.

    Args:
        names: the names of the numbers.
        quantiles: the levels at which each number is estimated; empty for its mean.
        reads: when to predict.
    """
    return Readout("numbers", tuple(names), quantiles, reads)


def pinball(errors: Any, quantile: Any) -> Any:
    """Return the pinball loss of each error, which is smallest on average if the estimate is the quantile.

    Args:
        errors: target minus estimate, as an array or a tensor of any shape.
        quantile: the level, or an array or tensor of levels that is broadcast against the errors.

    Source:
        R. Koenker and G. Bassett, Regression quantiles, Econometrica 46 (1978) 33-50, equation 3.1.
    """
    above, below = quantile * errors, (quantile - 1) * errors
    return np.maximum(above, below) if isinstance(errors, np.ndarray) else above.maximum(below)
