"""What a network says: symbols, classes or numbers, after every step or once at the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from gatescope.errors import GatescopeError

Kind = Literal["symbols", "classes", "numbers"]
Reads = Literal["every step", "last step"]


class ReadoutError(GatescopeError):
    """A readout cannot be made of what was given; the message says what was expected."""


@dataclass(frozen=True)
class Readout:
    """The predictions that are read out of the hidden state of the highest layer.

    Attributes:
        kind: "symbols": a probability of each symbol of the vocabulary; "classes": of each of `names`; "numbers": an
            estimate of each of `names`.
        names: of the classes or numbers; none of the symbols, which the vocabulary names.
        quantiles: of numbers: at which levels each is estimated, rising, such as (0.1, 0.5, 0.9); none: its mean.
        reads: "every step": after each step (many to many); "last step": once, after the last of each sequence (many
            to one).

    Raises:
        ReadoutError: they do not fit each other.
    """

    kind: Kind = "symbols"
    names: tuple[str, ...] = ()
    quantiles: tuple[float, ...] = ()
    reads: Reads = "every step"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or self.reads not in get_args(Reads):
            raise ReadoutError(
                "READOUT_READOUT_GIVEN",
                get_args=", ".join(get_args(Kind)),
                get_args2=" or ".join(get_args(Reads)),
                kind=self.kind,
                reads=self.reads,
            )
        if (self.kind == "symbols") != (not self.names):
            raise ReadoutError("READOUT_READOUT_NAMES_CLASSES_NUMBERS")
        if len(set(self.names)) != len(self.names):
            raise ReadoutError("READOUT_NAMES_READOUT_DIFFER_GIVEN", names=", ".join(self.names[:9]))
        rising = all(0 < low < high < 1 for low, high in zip(self.quantiles, self.quantiles[1:], strict=False))
        if self.quantiles and not (self.kind == "numbers" and rising and 0 < self.quantiles[0] < 1):
            raise ReadoutError("READOUT_QUANTILES_NUMBERS_BETWEEN_RISE", quantiles=self.quantiles)

    def size(self, symbols: int) -> int:
        """How many values are read out, in a vocabulary of so many symbols."""
        return len(self.names) * max(1, len(self.quantiles)) or symbols

    @property
    def value_names(self) -> tuple[str, ...]:
        """The names of the values that are read out: classes, numbers, or quantiles ("x q0.1"); none of symbols."""
        return tuple(f"{name} q{level:g}" for name in self.names for level in self.quantiles) or self.names

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "kind": self.kind,
            "names": list(self.names),
            "quantiles": list(self.quantiles),
            "reads": self.reads,
        }

    @classmethod
    def from_json(cls, data: Any) -> Readout:
        """The readout that `to_json` wrote.

        Raises:
            ReadoutError: it is none.
        """
        fields = ("kind", "names", "quantiles", "reads")
        if not isinstance(data, dict) or any(name not in data for name in fields):
            raise ReadoutError("READOUT_DESCRIPTION_READOUT_OBJECT", fields=", ".join(fields))
        names, levels = data["names"], data["quantiles"]
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ReadoutError("READOUT_NAMES_READOUT_LIST_TEXTS")
        if not (isinstance(levels, list) and all(type(level) is float for level in levels)):
            raise ReadoutError("READOUT_QUANTILES_READOUT_LIST_NUMBERS")
        return cls(data["kind"], tuple(names), tuple(levels), data["reads"])


SYMBOLS = Readout()
"""A probability of each symbol of the vocabulary, after every step."""


def classes(names: Iterable[str], reads: Reads = "every step") -> Readout:
    """A readout of classes."""
    return Readout("classes", tuple(names), reads=reads)


def numbers(names: Iterable[str], quantiles: tuple[float, ...] = (), reads: Reads = "every step") -> Readout:
    """A readout of numbers, or of their quantiles."""
    return Readout("numbers", tuple(names), quantiles, reads)
