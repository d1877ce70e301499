"""Upper bounds of the memory that an answer needs, computed from the configuration before anything is allocated.

tests/explorer/test_memory.py compares the bounds with the memory of recordings. Sizes: `S` sequences, `T` steps of the
longest sequence, `N` neurons, `V` predicted values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from gatescope.configuration import Configuration, Layer
from gatescope.equations import forward
from gatescope.network import PASS_PREDICTIONS, PASS_STEPS, expected_tensors
from gatescope.recorded_pieces import PIECE_VALUES as CHECKED_VALUES
from gatescope.studies.gradients.backward_pass import LAYER_VALUES as SALIENCY_VALUES
from gatescope.studies.gradients.influence import PIECE_VALUES as INFLUENCE_VALUES
from gatescope.studies.gradients.products import MAX_EXACT_WIDTH

BYTES_OF_LABEL = 200  # of the label of a step: a Python string, its place in a list, and its JSON
COPIES_OF_WEIGHTS = 3  # while a network is loaded: the bytes of the file, its tensors, and those of the network
OBJECT_BYTES = 1 << 20  # of Python objects, whatever is recorded
TEMPORARIES = 6  # float64 arrays of the self-check besides what an equation reads
COPIES_OF_PREDICTIONS = 4
COPIES_OF_INFLUENCE = 6
MAX_VECTORS = 8  # of an estimated map of products


def megabytes(nbytes: int) -> str:
    """Format a number of bytes in megabytes."""
    return f"{nbytes / (1 << 20):,.0f} MB"


def weight_bytes(configuration: Configuration, itemsize: int = 4) -> int:
    """Return the bytes of all weights of a network."""
    return itemsize * sum(math.prod(shape) for shape in expected_tensors(configuration).values())


def loading_bytes(configuration: Configuration) -> int:
    """Return the bytes that loading a network needs."""
    return COPIES_OF_WEIGHTS * weight_bytes(configuration)


def with_network(configuration: Configuration, work: int) -> int:
    """Return the bytes of loading a network and of `work` bytes with the loaded network, which never overlap."""
    return max(loading_bytes(configuration), weight_bytes(configuration) + work)


def arrays_of_step(layer: Layer) -> int:
    """Return how many numbers are recorded for each neuron at each step: its signals and drives."""
    return len(layer.cell.signals) + len(layer.cell.drives)


def recording_bytes(configuration: Configuration, sequences: int, longest: int, itemsize: int = 4) -> int:
    """Return the bytes that a recording needs, including the trace but not the network.

    Args:
        configuration: the network.
        sequences: S.
        longest: T. Shorter sequences are padded, so S · T steps are stored.
        itemsize: bytes of a number in the network's precision.
    """
    layers, steps = configuration.layers, sequences * longest
    of_step = sum(layer.neurons * arrays_of_step(layer) for layer in layers)
    most = min(PASS_STEPS, max(1, PASS_PREDICTIONS // configuration.predicted))
    piece = steps if configuration.both_ways else min(steps, max(sequences, most))
    # Several sequences are transposed from (T, S, N) to (S, T, N), which copies the piece. A second copy exists while
    # the layers above run.
    copies = 2 * piece if sequences > 1 else 0
    checked = max(
        8 * (TEMPORARIES + arrays_of_step(layer)) * min(CHECKED_VALUES, piece * layer.neurons) for layer in layers
    )
    # The check converts the weights of one layer at a time.
    matrix = max(math.prod(shape) for shape in expected_tensors(configuration).values())
    predicted = COPIES_OF_PREDICTIONS * itemsize * piece * configuration.predicted
    inputs = piece * max(configuration.inputs[1:]) * 8  # float64, of the layer below
    if configuration.vocabulary.unit == "number":
        inputs += 16 * steps * configuration.vocabulary.size
    return (
        OBJECT_BYTES
        + itemsize * of_step * (steps + copies)
        + checked
        + 2 * 8 * matrix
        + predicted
        + inputs
        + BYTES_OF_LABEL * steps
    )


def trace_bytes(configuration: Configuration, steps: int, itemsize: int = 4) -> int:
    """Return the bytes of a trace with all signals and drives; `steps` includes padding."""
    of_step = sum(layer.neurons * arrays_of_step(layer) for layer in configuration.layers)
    return steps * (itemsize * of_step + BYTES_OF_LABEL)


def derivative_bytes(configuration: Configuration, steps: int) -> int:
    """Return the bytes of all derivatives of all layers in float64, and of the values that they are computed from."""
    nbytes = 0
    for layer in configuration.layers:
        places = sum(len(row) for row in forward(layer.cell.tape).slopes.values())
        nbytes += 2 * 8 * steps * layer.neurons * (places + arrays_of_step(layer))
    return nbytes


def reading_bytes(configuration: Configuration, sequences: int, longest: int) -> int:
    """Return the bytes of an exact recording: the float64 network, its trace and the Jacobians of every layer."""
    steps = sequences * longest
    return (
        2 * weight_bytes(configuration, 8)
        + trace_bytes(configuration, steps, 8)
        + derivative_bytes(configuration, steps)
    )


def gradient_bytes(configuration: Configuration, sequences: int, longest: int) -> int:
    """Return the bytes that any answer about gradients needs, including the float64 network.

    They hold a float64 recording, every derivative at every step, and the vectors that the studies multiply.
    """
    weights = weight_bytes(configuration, 8)
    steps = sequences * longest
    vectors = max(_vector_bytes(layer, longest) for layer in configuration.layers)
    widest = max(layer.neurons for layer in configuration.layers)
    values = min(INFLUENCE_VALUES, steps * longest * max(widest, configuration.predicted))
    studied = max(vectors, COPIES_OF_INFLUENCE * 8 * values)
    if configuration.both_ways:
        carried = 3 + sum(len(layer.cell.states) for layer in configuration.layers)
        studied = max(studied, 8 * carried * min(SALIENCY_VALUES, longest**2 * widest))
    states = max(len(layer.cell.states) for layer in configuration.layers)
    maps = (10 + states) * 2 * 8 * steps**2
    recorded = recording_bytes(configuration, sequences, longest, 8)
    # One float64 copy, and another copy that a study makes. The file may still be in memory during the first copy.
    return 2 * weights + recorded + derivative_bytes(configuration, steps) + studied + maps


def _vector_bytes(layer: Layer, longest: int) -> int:
    """Return the bytes of the vectors of a map: all of them in float64 for a small layer, 8 random ones otherwise."""
    states = len(layer.cell.states)
    width = states * layer.neurons
    of_step = 8 * width * layer.neurons if width <= MAX_EXACT_WIDTH else 4 * MAX_VECTORS * layer.neurons
    return 6 * states * longest * of_step


def most_steps(cost: Callable[[int], int], limit: int, max_steps: int) -> int:
    """Return the largest number of steps, at most `max_steps`, whose cost is within a limit; 0 if there is none."""
    low, high = 0, max_steps
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle) <= limit else (low, middle - 1)
    return low


def size_of(configuration: Configuration) -> str:
    """Describe the neurons of a network: "3 layers of 1,024 neurons", or "layers of 8 and 6 neurons"."""
    sizes: Sequence[int] = [layer.neurons for layer in configuration.layers]
    if len(sizes) == 1:
        return f"{sizes[0]:,} neuron" + "s" * (sizes[0] != 1)
    if len(set(sizes)) == 1:
        return f"{len(sizes)} layers of {sizes[0]:,} neurons"
    return f"layers of {', '.join(f'{size:,}' for size in sizes[:-1])} and {sizes[-1]:,} neurons"
