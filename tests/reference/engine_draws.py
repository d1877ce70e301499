"""What Python draws, for the tests of the engine in TypeScript: random numbers, initial weights and written texts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from safetensors.torch import save as save_torch

from gatescope import Choice, Intervention, Network, Vocabulary, clamp, configure, sample
from gatescope.configuration import Configuration, Layer
from gatescope.generator import Generator
from gatescope.head import HiddenLayer
from gatescope.readout import classes
from gatescope.studies.comparison import cell_of

STREAMS = ((0, ""), (7, "sample"), (2**53 - 1, "layers.0.recurrent_weights.f"), (2**64 - 1, "é 月"))
LIMITS = (1, 6, 1000, 2**31 + 1, 3 * 2**30, 2**32)
COUNT = 13  # of numbers of each kind: several blocks, the last one in part
CHARACTERS = Vocabulary(tuple("abcde\n"), end="\n")
WORDS = Vocabulary(("good", "bad", "月", ".", "\n"), end="\n", unit="word")
CELLS_THAT_WRITE = ("elman", "lstm", "peephole", "gru", "mingru", "slstm")
LENGTH = 60  # symbols of a text
CHOICES: tuple[dict[str, Any], ...] = (
    dict(),
    dict(temperature=0.6),
    dict(temperature=1.7, top_k=3),
    dict(top_p=0.7),
    dict(temperature=0.8, top_k=4, top_p=0.9),
    dict(greedy=True),
)


def streams() -> list[dict[str, Any]]:
    """Return what each stream draws from its start, and the words beyond its block 2^32."""
    drawn = []
    for seed, name in STREAMS:
        far = Generator(seed, name)
        far.position = 4 * 2**32 - 3
        drawn.append(
            dict(
                seed=str(seed),
                name=name,
                words=Generator(seed, name).words(COUNT).tolist(),
                far=far.words(COUNT).tolist(),
                uniforms=Generator(seed, name).uniforms(COUNT).tolist(),
                normals=Generator(seed, name).normals(COUNT).tolist(),
                permutation=Generator(seed, name).permutation(COUNT).tolist(),
                below=[_below(Generator(seed, name), limit) for limit in LIMITS],
            )
        )
    return drawn


def _below(generator: Generator, limit: int) -> dict[str, Any]:
    return dict(limit=limit, numbers=generator.below(limit, COUNT).tolist(), position=generator.position)


def untrained() -> Iterator[tuple[str, int, Configuration]]:
    """Yield name, seed and configuration of networks whose initial weights are compared."""
    yield "characters", 0, configure(CHARACTERS, "lstm", [10])
    yield "large", 5, configure(CHARACTERS, cell_of("lstm:f=3"), [65, 33])
    yield "both ways", 2**64 - 1, configure(WORDS, "gru", [6, 4], both_ways=True, embedding=7, readout=classes("xyz"))
    hidden = (HiddenLayer(5, "tanh"), HiddenLayer(4, "relu"))
    layers = tuple(Layer(cell_of(name), 4, initial=name == "slstm") for name in ("feedforward", "peephole", "slstm"))
    yield "mixed", 3, Configuration(CHARACTERS, layers, 3, 0.0, hidden=hidden)


def writer_of(cell: str, vocabulary: Vocabulary, number: int) -> Network:
    """Return a network in float64 whose predictions are neither sure nor equal."""
    network = Network(configure(vocabulary, cell, [6, 4], embedding=3 if vocabulary.bytes else None), number).double()
    with torch.no_grad():
        for name, weights in network.named_parameters():
            noise = Generator(number, f"noise.{name}").normals(weights.numel()).reshape(weights.shape)
            weights.add_(0.5 * torch.from_numpy(noise))
    return network.eval()


def requests_of(network: Network) -> Iterator[dict[str, Any]]:
    """Yield requests for texts, as the page sends them."""
    prime = {"character": "ab\ncde", "byte": "é 月a", "word": "good 月"}[network.configuration.vocabulary.unit]
    for seed, choice in enumerate(CHOICES):
        yield dict(prime=prime, seed=seed, **choice)
    yield dict(prime="", seed=7)
    stop = {"character": "cd", "byte": "\ufffd", "word": "bad"}[network.configuration.vocabulary.unit]
    yield dict(prime=prime, seed=8, stop=stop)
    held = [dict(layer="layer0", signal="h", neuron=1, steps=dict(start=4, stop=-5), scale=0.0, shift=0.9)]
    yield dict(prime=prime, seed=9, interventions=held)


def text_of(network: Network, request: dict[str, Any]) -> str:
    """Return the text that Python writes for a request."""
    fields = dict(request)
    held = [clamp(0, "h", 1, change["shift"], slice(4, -5)) for change in fields.pop("interventions", [])]
    prime, seed, stop = fields.pop("prime"), fields.pop("seed"), fields.pop("stop", None)
    interventions: list[Intervention] = held
    pieces = sample(
        network, prime, length=LENGTH, choice=Choice(**fields), seed=seed, stop=stop, interventions=interventions
    )
    return "".join(pieces)


def write_draws(folder: Path) -> None:
    """Write the streams, the initial weights and the texts."""
    arrays: dict[str, NDArray[Any]] = {}
    weights, texts = [], []
    for name, seed, configuration in untrained():
        for tensor, value in Network(configuration, seed).state_dict().items():
            arrays[f"weights/{name}/{tensor}"] = value.numpy()
        weights.append(dict(name=name, seed=str(seed), network=configuration.to_json()))
    for number, cell in enumerate(CELLS_THAT_WRITE):
        for vocabulary in (CHARACTERS, WORDS, Vocabulary.of_bytes()):
            name, network = f"{cell} of {vocabulary.unit}s", writer_of(cell, vocabulary, number)
            arrays[f"texts/{name}"] = np.frombuffer(save_torch(dict(network.state_dict())), np.uint8)
            written = [dict(request={**r, "length": LENGTH}, text=text_of(network, r)) for r in requests_of(network)]
            texts.append(dict(name=name, network=network.configuration.to_json(), written=written))
    index = json.dumps(dict(streams=streams(), weights=weights, texts=texts))
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    (folder / "draws.bin").write_bytes(save(contiguous, {"index": index}))
