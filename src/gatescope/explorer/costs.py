"""How many bytes an answer takes while it is made, computed from the configuration before anything is made.

The estimates are upper bounds: tests/explorer/test_memory.py holds them against what recordings really take.

`S` sequence, `T` step of the longest sequence, `N` neuron, `V` predicted value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from gatescope.checking import PIECE_VALUES as CHECKED_VALUES
from gatescope.configuration import Configuration, Layer
from gatescope.equations import forward
from gatescope.network import PASS_PREDICTIONS, PASS_STEPS, expected_tensors
from gatescope.studies.gradients.backpropagation import AT_ONCE as SALIENCY_VALUES
from gatescope.studies.gradients.influence import PIECE as INFLUENCE_VALUES
from gatescope.studies.gradients.products import LARGEST_EXACT

BYTES_OF_LABEL = 200  # what is printed for a step: a Python text, its place in a list, and the JSON of it
COPIES_OF_WEIGHTS = 3  # while a network is loaded: the bytes of the file, the tensors in them, and the network's own
OBJECT_BYTES = 1 << 20  # Python's own objects, whatever is recorded
TEMPORARIES = 6  # float64 arrays of the self-check besides what an equation reads
COPIES_OF_PREDICTIONS = 4
COPIES_OF_INFLUENCE = 6
MOST_VECTORS = 8  # of an estimated map of products


def megabytes(nbytes: int) -> str:
    """Bytes in words."""
    return f"{nbytes / (1 << 20):,.0f} MB"


def weight_bytes(configuration: Configuration, itemsize: int = 4) -> int:
    """The bytes of all weights of a network."""
    return itemsize * sum(math.prod(shape) for shape in expected_tensors(configuration).values())


def loading_bytes(configuration: Configuration) -> int:
    """The bytes that loading a network takes."""
    return COPIES_OF_WEIGHTS * weight_bytes(configuration)


def with_network(configuration: Configuration, work: int) -> int:
    """The bytes of loading a network, and then of work with it, which never fall together."""
    return max(loading_bytes(configuration), weight_bytes(configuration) + work)


def arrays_of_step(layer: Layer) -> int:
    """How many numbers are recorded of each neuron at each step: signals and drives."""
    return len(layer.cell.signals) + len(layer.cell.drives)


def recording_bytes(configuration: Configuration, sequences: int, longest: int, itemsize: int = 4) -> int:
    """The bytes that recording a text takes, the trace itself included, without the network.

    Args:
        configuration: of the network.
        sequences: S.
        longest: T. Shorter sequences are padded, so S · T steps are held.
        itemsize: of the network's precision, in bytes.
    """
    layers, steps = configuration.layers, sequences * longest
    of_step = sum(layer.neurons * arrays_of_step(layer) for layer in layers)
    most = min(PASS_STEPS, max(1, PASS_PREDICTIONS // configuration.predicted))
    piece = steps if configuration.both_ways else min(steps, max(sequences, most))
    # Several sequences are turned from (T, S, N) to (S, T, N), which takes a copy of the piece, and another one while
    # the layers above are run.
    copies = 2 * piece if sequences > 1 else 0
    checked = max(
        8 * (TEMPORARIES + arrays_of_step(layer)) * min(CHECKED_VALUES, piece * layer.neurons) for layer in layers
    )
    matrix = max(math.prod(shape[-2:]) for shape in expected_tensors(configuration).values())
    predicted = COPIES_OF_PREDICTIONS * itemsize * piece * configuration.predicted
    inputs = piece * max(configuration.inputs[1:]) * 8  # float64, of the layer below
    if configuration.vocabulary.unit == "number":
        inputs += 16 * steps * configuration.vocabulary.size
    return (
        OBJECT_BYTES
        + itemsize * of_step * (steps + copies)
        + checked
        + 3 * 8 * matrix
        + predicted
        + inputs
        + BYTES_OF_LABEL * steps
    )


def trace_bytes(configuration: Configuration, steps: int, itemsize: int = 4) -> int:
    """The bytes of a trace with all signals and drives of so many steps, padding included."""
    of_step = sum(layer.neurons * arrays_of_step(layer) for layer in configuration.layers)
    return steps * (itemsize * of_step + BYTES_OF_LABEL)


def derivative_bytes(configuration: Configuration, steps: int) -> int:
    """The bytes of every derivative of every layer at so many steps, in float64, and of what they are computed from."""
    found = 0
    for layer in configuration.layers:
        places = sum(len(row) for row in forward(layer.cell.tape).slopes.values())
        found += 2 * 8 * steps * layer.neurons * (places + arrays_of_step(layer))
    return found


def reading_bytes(configuration: Configuration, sequences: int, longest: int) -> int:
    """The bytes of a text that was read in float64, with the network, the trace and the Jacobians of every layer."""
    steps = sequences * longest
    return (
        2 * weight_bytes(configuration, 8)
        + trace_bytes(configuration, steps, 8)
        + derivative_bytes(configuration, steps)
    )


def gradient_bytes(configuration: Configuration, sequences: int, longest: int) -> int:
    """The bytes that any answer about gradients takes, the network in float64 included.

    That is a recording in float64, every derivative at every step, and the vectors that are carried along.
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
    # The copy in float64, and one more of it that a study makes. While the first is made, the file may still be held.
    return 2 * weights + recorded + derivative_bytes(configuration, steps) + studied + maps


def _vector_bytes(layer: Layer, longest: int) -> int:
    """The bytes of the vectors that a map of products carries along: all of a small layer in float64, else 8."""
    states = len(layer.cell.states)
    width = states * layer.neurons
    of_step = 8 * width * layer.neurons if width <= LARGEST_EXACT else 4 * MOST_VECTORS * layer.neurons
    return 6 * states * longest * of_step


def most_steps(cost: Callable[[int], int], limit: int, most: int) -> int:
    """The largest number of steps, at most `most`, whose cost is within a limit; 0 where not even one is."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle) <= limit else (low, middle - 1)
    return low


def size_of(configuration: Configuration) -> str:
    """The neurons of a network in words: "3 layers of 1,024 neurons", or "layers of 8 and 6 neurons"."""
    sizes: Sequence[int] = [layer.neurons for layer in configuration.layers]
    if len(sizes) == 1:
        return f"{sizes[0]:,} neuron" + "s" * (sizes[0] != 1)
    if len(set(sizes)) == 1:
        return f"{len(sizes)} layers of {sizes[0]:,} neurons"
    return f"layers of {', '.join(f'{size:,}' for size in sizes[:-1])} and {sizes[-1]:,} neurons"
