"""The layer that a study is about, by its name or number."""

from __future__ import annotations

from gatescope.configuration import Configuration
from gatescope.names import layer_name, unknown
from gatescope.studies.common.table import StudyError

LayerId = int | str
"""A layer by its name, such as "layer0_reverse"; or by its number, if the network reads in one direction."""


def number_of(configuration: Configuration, layer: LayerId) -> int:
    """Return the position of a layer among all layers of a network.

    Args:
        configuration: of the network.
        layer: the name or number of the layer.

    Raises:
        StudyError: there is no such layer, or a number means two layers.
    """
    name = layer_name(layer, configuration.names)
    if name is None:
        raise StudyError(unknown("Layer", layer, configuration.names))
    return configuration.names.index(name)
