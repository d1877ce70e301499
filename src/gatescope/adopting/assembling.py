"""A network of the parts of a file: which recurrent layers, which embedding, which readout.

Shapes decide where they can. Where more than one thing fits, nothing is guessed: the error lists what there is, and the
option that says which.

`V` symbol, `I` input, `N` neuron.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from gatescope.adopting.foreign import AdoptingError, Foreign, ForeignLayer, described, listed
from gatescope.network import Configuration, Layer, Network
from gatescope.text import Vocabulary

ONE_HOT, NONE = "one-hot", "none"
OF_EMBEDDINGS = ("emb", "wte", "lookup")


@dataclass(frozen=True)
class Assembled:
    """A network, and how it came together.

    Attributes:
        network: with the weights of the file.
        layers: the layers that were taken, as the file calls them.
        embedding, readout: the names of the matrices that were taken; "one-hot", "none" where none was.
        notes: what was assumed or is missing, one sentence each.
    """

    network: Network
    layers: tuple[ForeignLayer, ...]
    embedding: str
    readout: str
    notes: tuple[str, ...]


def assemble(
    foreign: Foreign,
    vocabulary: Vocabulary,
    *,
    layers: Sequence[str] = (),
    embedding: str | None = None,
    readout: str | None = None,
) -> Assembled:
    """The network that reads and predicts symbols.

    Args:
        foreign: the file.
        vocabulary: the symbols, in the order of their ids.
        layers: the names of stacks that read each other, from the input upwards; all that there is when not given.
        embedding: the name of its matrix, or "one-hot"; found by its shape when None.
        readout: the name of its matrix, or "none": the network then predicts every symbol alike.

    Raises:
        AdoptingError: something is ambiguous, does not fit, or is not there.
    """
    chain = _chain(foreign, layers)
    vectors, which = _embedding(foreign, vocabulary, chain[0], embedding)
    weights, biases, read, notes = _readout(foreign, vocabulary, chain[-1], readout, which)
    configuration = Configuration(
        vocabulary,
        tuple(Layer(layer.cell, layer.neurons) for layer in chain),
        embedding=None if vectors is None else vectors.shape[1],
    )
    values: dict[str, Tensor] = {} if vectors is None else {"embedding": vectors}
    below: Tensor | None = None
    for k, layer in enumerate(chain):
        for name, value in layer.parameters.by_name().items():
            # What hears a projection of h hears h through the product of both matrices.
            values[f"layers.{k}.{name}"] = value @ below if below is not None and name == "input_weights" else value
        below = layer.projection
    values |= {"readout_weights": weights if below is None else weights @ below, "readout_biases": biases}
    for name, value in values.items():
        if not bool(torch.isfinite(value).all()):
            raise AdoptingError(f"the {name} in the file has numbers that are not finite: its training failed.")
    network = Network(configuration)
    network.load_state_dict({name: value.float().contiguous() for name, value in values.items()})
    network.eval()
    return Assembled(network, chain, which, read, (*foreign.notes, *notes))


def _chain(foreign: Foreign, names: Sequence[str]) -> tuple[ForeignLayer, ...]:
    """The layers that were asked for, each reading the one before."""
    stacks = foreign.stacks
    if not stacks:
        there = listed(f"{name} {tuple(value.shape)}" for name, value in foreign.matrices.items())
        raise AdoptingError(f"there is no LSTM, GRU or simple recurrent layer in this file; its matrices are: {there}.")
    for name in names:
        if name not in stacks:
            close = difflib.get_close_matches(name, list(stacks), n=1)
            meant = f" Did you mean {close[0]}?" if close else ""
            raise AdoptingError(f"there are no layers {name!r} in this file; there are {listed(stacks)}.{meant}")
    chosen = tuple(names) or foreign.order or tuple(stacks)
    if len(chosen) > 1 and not names and not foreign.order:
        there = listed((described(name, layers) for name, layers in stacks.items()), 40)
        raise AdoptingError(
            f"which layers? There are {there}. Name the ones that belong to one network, from the input upwards: "
            f"--layers {chosen[0]}, or --layers {','.join(chosen[:2])} where the second reads the first."
        )
    chain = tuple(layer for name in chosen for layer in stacks[name])
    if any(layer.reverse for layer in chain):
        raise AdoptingError(
            f"{listed(chosen)} reads its text in both directions, and the network of a run reads forwards only. "
            "gatescope.watch(model) records both directions of a torch module in its own model."
        )
    for below, above in pairwise(chain):
        if above.inputs != below.outputs:
            raise AdoptingError(
                f"{above.name} reads {above.inputs} numbers, and {below.name} hands on {below.outputs}: they do not "
                "belong together in this order. Choose others with --layers."
            )
    return chain


def _embedding(
    foreign: Foreign, vocabulary: Vocabulary, first: ForeignLayer, asked: str | None
) -> tuple[Tensor | None, str]:
    """The vectors of the symbols (V, I), or None for one-hot ones, and their name."""
    size = (vocabulary.size, first.inputs)
    if asked == ONE_HOT or (asked is None and foreign.embedding == ONE_HOT):
        _check_one_hot(size, first)
        return None, ONE_HOT
    if asked is not None:
        return _asked(
            foreign, asked, size, "embedding", "symbols of the vocabulary, numbers that the layers read"
        ), asked
    fitting = [name for name, value in foreign.matrices.items() if tuple(value.shape) == size]
    name = foreign.embedding
    if name is not None and name in foreign.matrices:
        if name not in fitting:
            raise AdoptingError(_wrong_size(name, tuple(foreign.matrices[name].shape), vocabulary))
        return foreign.matrices[name], name
    named = [name for name in fitting if any(word in name.lower() for word in OF_EMBEDDINGS)]
    for found in (named, fitting):
        if len(found) == 1 and (named or size[0] != size[1]):
            return foreign.matrices[found[0]], found[0]
    if not fitting and size[0] == size[1]:
        return None, ONE_HOT
    if fitting:
        also = f", or {ONE_HOT}" if size[0] == size[1] else ""
        raise AdoptingError(
            f"which embedding? {listed(fitting)}{also} would fit ({size[0]} symbols, {size[1]} numbers each). "
            f"Say which: --embedding {fitting[0]}."
        )
    other = {n: tuple(v.shape) for n, v in foreign.matrices.items() if v.shape[1] == first.inputs}
    likely = [name for name in other if any(word in name.lower() for word in OF_EMBEDDINGS)] or list(other)
    if likely:
        raise AdoptingError(_wrong_size(likely[0], other[likely[0]], vocabulary))
    _check_one_hot(size, first)
    return None, ONE_HOT


def _wrong_size(name: str, shape: tuple[int, ...], vocabulary: Vocabulary) -> str:
    return (
        f"the vocabulary has {vocabulary.size:,} symbols, and {name} has {shape[0]:,} rows, one for each. Give all "
        "symbols in the order of their ids; where an id has no symbol (0 is often padding), give an object "
        "symbol -> id."
    )


def _check_one_hot(size: tuple[int, int], first: ForeignLayer) -> None:
    if size[0] != size[1]:
        raise AdoptingError(
            f"{first.name} reads {size[1]} numbers at a step, the vocabulary has {size[0]} symbols, and no embedding "
            "in the file is between them. The network of a run reads symbols; gatescope.watch(model) records a torch "
            "module that reads vectors."
        )


def _readout(
    foreign: Foreign, vocabulary: Vocabulary, last: ForeignLayer, asked: str | None, embedding: str
) -> tuple[Tensor, Tensor, str, list[str]]:
    """The weights (V, N) and biases (V,) of the readout, its name, and what is to be said about them."""
    size = (vocabulary.size, last.outputs)
    if asked is None and foreign.readout is not None:
        asked = foreign.readout
    if asked not in (None, NONE):
        weights = _asked(foreign, asked, size, "readout", "symbols of the vocabulary, neurons of the last layer")
        return (*_with_biases(foreign, weights, asked), asked, [])
    fitting = [name for name, value in foreign.matrices.items() if tuple(value.shape) == size and name != embedding]
    # An embedding of another part of the model is no readout, if something else can be.
    fitting = [n for n in fitting if not any(word in n.lower() for word in OF_EMBEDDINGS)] or fitting
    if asked is None and len(fitting) == 1:
        return (*_with_biases(foreign, foreign.matrices[fitting[0]], fitting[0]), fitting[0], [])
    if asked is None and fitting:
        raise AdoptingError(
            f"which readout? {listed(fitting)} would fit ({size[0]} symbols from {size[1]} numbers). "
            f"Say which: --readout {fitting[0]}, or --readout {NONE}."
        )
    classes = [
        f"{name} {tuple(value.shape)}"
        for name, value in foreign.matrices.items()
        if value.shape[1] == last.outputs and name != embedding
    ]
    besides = f" (what reads {size[1]} numbers predicts something else: {listed(classes, 3)})" if classes else ""
    note = (
        f"No readout from the {size[1]} numbers of the last layer to {size[0]} symbols was taken{besides}: the run "
        "predicts every symbol alike. Its gates and states are those of the file's network."
    )
    return torch.zeros(size), torch.zeros(size[0]), NONE, [note]


def _asked(foreign: Foreign, name: str, size: tuple[int, int], what: str, axes: str) -> Tensor:
    """A matrix that was named, turned round where only that fits."""
    if name not in foreign.matrices:
        raise AdoptingError(f"there is no matrix {name!r} in the file; there are {listed(foreign.matrices)}.")
    value = foreign.matrices[name]
    if tuple(value.shape) == size:
        return value
    if tuple(value.shape) == size[::-1]:
        return value.t()
    raise AdoptingError(f"{name} is {tuple(value.shape)}, and the {what} must be {size}: {axes}.")


def _with_biases(foreign: Foreign, weights: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """A readout and its biases: the vector of its name, else the only one that fits, else 0."""
    size = len(weights)
    for candidate in _bias_names(name):
        if candidate != name and candidate in foreign.vectors and len(foreign.vectors[candidate]) == size:
            return weights, foreign.vectors[candidate]
    fitting = [value for key, value in foreign.vectors.items() if len(value) == size and key != name]
    return weights, fitting[0] if len(fitting) == 1 else torch.zeros(size)


def _bias_names(name: str) -> Iterable[str]:
    """What the biases beside a matrix are called."""
    for weight, bias in (("weight", "bias"), ("kernel", "bias"), ("_w", "_b"), ("W_", "b_"), (".w", ".b"), ("W", "b")):
        yield bias.join(name.rsplit(weight, 1))
    yield name.replace("Wh", "b")  # min-char-rnn: Why, by
    yield f"{name}_bias"
