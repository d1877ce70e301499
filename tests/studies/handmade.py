"""A network with weights set by hand, so that the function of every neuron is known, and a text for it."""

from __future__ import annotations

import numpy as np
import torch

from gatescope import Network, Vocabulary, configure
from gatescope.features import Feature, of_arrays

ALPHABET = Vocabulary(tuple("ab()ABvwxyz."))
COUNTER, LATCH, DEPTH, SPREAD, NOISE = 0, 1, 2, range(3, 8), range(8, 28)
NEURONS = 28
LARGE = 30.0  # a drive at which a gate is 0 or 1 in single precision
SLOW = 0.8  # the share of their state that the spread neurons retain at each step
STEP = np.arctanh(0.5)  # the drive that gives a candidate of 1/2


def text(length: int, seed: int) -> str:
    """Return random letters. No bracket closes unopened, and there are about as many a's as b's."""
    random = np.random.default_rng(seed)
    symbols: list[str] = []
    depth = count = 0
    for _ in range(length):
        symbol = ALPHABET.symbols[random.integers(ALPHABET.size)]
        if symbol in "()":
            symbol = "(" if depth == 0 or (depth < 6 and random.random() < 0.5) else ")"
            depth += 1 if symbol == "(" else -1
        if symbol in "ab":
            # The difference is a random walk with a pull towards 0.
            symbol = "a" if random.random() < 0.5 - count / 20 else "b"
            count += 1 if symbol == "a" else -1
        symbols.append(symbol)
    return "".join(symbols)


def network(seed: int = 0) -> Network:
    """Make an LSTM with a counter, a latch, a bracket counter, five slow counters and 20 neurons of noise.

    The cell states c of the first eight follow the features of `truth`. The input does not reach the other 20.
    """
    net = Network(configure(ALPHABET, "lstm", [NEURONS]))
    drives = {name: k for k, name in enumerate(net.configuration.layers[0].cell.tape.input_drives)}
    with torch.no_grad():
        for value in net.parameters():
            value.zero_()
        values = net.parameters_of(0)  # the network's own tensors, changed in place
        weights, biases = values.input_weights, values.biases
        biases[drives["i"]] = biases[drives["f"]] = biases[drives["o"]] = LARGE

        def reads(neuron: int, drive: str, **drive_of: float) -> None:
            for symbol, value in drive_of.items():
                weights[drives[drive], neuron, ALPHABET.symbols.index({"l": "(", "r": ")"}.get(symbol, symbol))] = value

        reads(COUNTER, "g", a=STEP, b=-STEP)
        reads(DEPTH, "g", l=STEP, r=-STEP)
        reads(LATCH, "g", A=STEP, B=-STEP)
        reads(LATCH, "f", A=-2 * LARGE, B=-2 * LARGE)
        for neuron, symbol in zip(SPREAD, "vwxyz", strict=True):
            reads(neuron, "g", **{symbol: STEP})
            biases[drives["f"], neuron] = np.log(SLOW / (1 - SLOW))
        # tanh units with a gain above 1 are chaotic without any input (Sompolinsky, Crisanti and Sommers 1988).
        biases[drives["f"], NOISE.start :] = -LARGE
        generator = torch.Generator().manual_seed(seed)
        size = len(NOISE)
        values.recurrent_weights[drives["g"], NOISE.start :, NOISE.start :] = (
            torch.randn(size, size, generator=generator) * 8 / size**0.5
        )
        biases[drives["g"], NOISE.start :] = torch.randn(size, generator=generator)
    return net


def truth(text: str) -> list[Feature]:
    """Return the features that the neurons follow, and twenty features that no neuron follows."""
    depth = count = 0
    latch, slow = False, 0.0
    values: dict[str, list[float]] = {"owed": [], "latched": [], "depth": [], "spread": []}
    for symbol in text:
        count += {"a": 1, "b": -1}.get(symbol, 0)
        depth += {"(": 1, ")": -1}.get(symbol, 0)
        latch = symbol == "A" or (latch and symbol != "B")
        slow = SLOW * slow + (symbol in "vwxyz")
        for name, value in zip(values, (count, latch, depth, slow), strict=True):
            values[name].append(value)
    arrays = {name: np.array(numbers, bool if name == "latched" else float) for name, numbers in values.items()}
    random = np.random.default_rng(7)
    for k in range(10):
        # Runs of ten steps, because most real features also change slowly.
        arrays[f"nothing{k}"] = np.repeat(random.random(len(text) // 10 + 1) < 0.3, 10)[: len(text)]
        arrays[f"no_count{k}"] = np.cumsum(random.normal(size=len(text))) % 17
    return of_arrays("planted", arrays, {})
