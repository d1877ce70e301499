"""The names of layers: "layer0", "layer0_reverse", "layer1", ...; and the shorter ones that people type.

A number alone is the flat one that `Intervention` has: all layers in their order, in both directions.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatescope.network import Configuration
from gatescope.studies.common.table import StudyError

Given = int | str
"""A layer by its flat number, or by its name: "layer0_reverse", "0_reverse", "0"."""


def full_name(given: Given, names: Sequence[str]) -> str | None:
    """The name of a layer among these; None where there is none such."""
    if isinstance(given, int):
        return names[given] if 0 <= given < len(names) else None
    return next((name for name in (given, f"layer{given}") if name in names), None)


def short(name: str) -> str:
    """A layer as it is printed in a column: "0", "0_reverse"."""
    return name.removeprefix("layer")


def number_of(configuration: Configuration, given: Given) -> int:
    """The flat number of a layer.

    Raises:
        StudyError: there is no such layer.
    """
    names = configuration.names
    name = full_name(given, names)
    if name is None:
        raise StudyError("LAYERS_LAYER_UNKNOWN", names=", ".join(names), last=len(names) - 1, layer=given)
    return names.index(name)
