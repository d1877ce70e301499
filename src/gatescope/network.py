"""A network with its weights: symbols or numbers in, stacked recurrent layers, a readout that predicts.

`T` step, `B` sequence, `V` predicted value (a symbol, say), `I` number of a step, `N` neuron.

The file is longer than 400 lines because the network and the two functions that run it over long texts, `passes` and
`predict`, share one contract about padding, state and the time of the readout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from gatescope.configuration import SETTINGS, Configuration, Layer, NetworkError, configure
from gatescope.display import fields_html, table_html
from gatescope.engine import Engine, Intervention, Parameters, State, initial_state, initialise, run, shapes
from gatescope.engine.interventions import in_named_layers
from gatescope.engine.parameters import glorot
from gatescope.generator import Generator
from gatescope.head import apply
from gatescope.names import check_names
from gatescope.readings import check_ids, readings
from gatescope.readout import Reads
from gatescope.vocabulary import PADDING, Reading, Vocabulary, is_symbol

if TYPE_CHECKING:
    from gatescope.trace import Trace

PASS_STEPS = 16_384  # steps of all sequences together in one pass: bounds memory for long texts
PASS_PREDICTIONS = 1 << 24  # predicted values of one pass, for all its steps: bounds memory for large vocabularies
GROUP_SEQUENCES = 64  # sequences that `predict` runs side by side


@dataclass(frozen=True)
class Output:
    """The result of one forward pass.

    Attributes:
        logits: (T, B, V) unnormalised log-probabilities after every step; or the estimates of numbers, with the
            quantiles of each number side by side. (B, V) if the readout is evaluated at the last step only.
        signals: for each layer, name -> (T, B, N) of the signals that were to be kept.
        state: for each layer, the states after the last step of each sequence.
    """

    logits: Tensor
    signals: tuple[Mapping[str, Float[Tensor, "T B _"]], ...]
    state: tuple[State, ...]


class Network(nn.Module):
    """A network with its weights; the equations of every layer are those of its cell.

    Args:
        configuration: everything but the weights; or the vocabulary, with the settings of `configure` as keywords:
            `Network(vocabulary, cell="lstm", neurons=[10])`.
        seed: the seed of the initial weights (see `gatescope.engine.parameters.initialise`). The readout and the
            embedding start with Glorot's uniform values, the readout's biases with 0. Every matrix has a stream of its
            own, with the name of the tensor, so it does not depend on the sizes of the others. None: all weights are
            0, which is faster for weights that are loaded.
        settings: only with a vocabulary: cell, neurons, both_ways, embedding, dropout, readout, hidden.

    Raises:
        CellError: there is no such cell.
        NetworkError: a setting is missing or does not make sense.
        GeneratorError: the seed is not a whole number from 0 to 2^64 - 1.
    """

    def __init__(self, configuration: Configuration | Vocabulary, seed: int | None = 0, **settings: Any) -> None:
        super().__init__()
        configuration = _configured(configuration, settings)
        self.configuration = configuration
        weights = {name: nn.Parameter(value) for name, value in _initial_weights(configuration, seed).items()}
        self.embedding = weights.get("embedding")
        self.layers = nn.ModuleList(
            nn.ParameterDict({name: weights[f"layers.{k}.{name}"] for name in shapes(layer.cell, 0, 0)})
            for k, layer in enumerate(configuration.layers)
        )
        self.initial = nn.ModuleList(_InitialState(layer) for layer in configuration.layers)
        self.hidden = nn.ModuleList(
            nn.ParameterDict({name: weights[f"hidden.{k}.{name}"] for name in ("weights", "biases")})
            for k in range(len(configuration.hidden))
        )
        self.readout_weights = weights["readout_weights"]
        self.readout_biases = weights["readout_biases"]

    def __repr__(self) -> str:
        configuration = self.configuration
        layers = ", ".join(
            f"{name}: {layer.neurons} {layer.cell.name}"
            for name, layer in zip(configuration.names, configuration.layers, strict=True)
        )
        return f"<Network {layers}; {self._inputs_text} -> {self._readout_text}; {self._weight_count:,} weights>"

    def _repr_html_(self) -> str:
        configuration = self.configuration
        fields = {"reads": self._inputs_text, "predicts": self._readout_text, "weights": f"{self._weight_count:,}"}
        if configuration.embedding is not None:
            fields["embedding"] = f"{configuration.embedding:,}"
        rows = [
            (name, layer.cell.title, f"{layer.neurons:,}", ", ".join(layer.cell.signals))
            for name, layer in zip(configuration.names, configuration.layers, strict=True)
        ]
        return fields_html("Network", fields) + table_html(("layer", "cell", "neurons", "signals"), rows)

    @property
    def _inputs_text(self) -> str:
        vocabulary = self.configuration.vocabulary
        return f"{vocabulary.size:,} {vocabulary.unit}{'' if vocabulary.size == 1 else 's'}"

    @property
    def _readout_text(self) -> str:
        readout = self.configuration.readout
        return f"{self.configuration.predicted:,} values ({readout.kind}, {readout.reads})"

    @property
    def _weight_count(self) -> int:
        return sum(weights.numel() for weights in self.parameters())

    def record(self, source: Any, **settings: Any) -> Trace:
        """Run the network on a text and record every signal: a shortcut for `gatescope.record(network, source)`.

        Args:
            source: a text, several texts, or arrays of ids or numbers.
            settings: the keyword arguments of `gatescope.record`.

        Returns:
            The trace, in memory.
        """
        # The module `recording` imports this one, so it is looked up when it is needed.
        record = import_module("gatescope.recording").record
        return record(self, source, **settings)

    def parameters_of(self, layer: int) -> Parameters:
        """Return the weights of one layer as the engine takes them."""
        of_layer: Any = self.layers[layer]
        return Parameters(of_layer.input_weights, of_layer.biases, of_layer.recurrent_weights, of_layer.neuron_weights)

    def hidden_weights(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return the weights (neurons, inputs) and biases (neurons,) of one hidden layer of the readout."""
        values = dict(self.hidden[layer].named_parameters())
        return values["weights"], values["biases"]

    def initial_states(self, rows: int) -> list[dict[str, Tensor]]:
        """Return the states of every layer before the first step, (rows, N) each."""
        states = []
        for layer, initial in zip(self.configuration.layers, self.initial, strict=True):
            if layer.initial:
                states.append({name: value.repeat(rows, 1) for name, value in initial.named_buffers()})
            else:
                states.append(initial_state(layer.cell, self.readout_biases.detach(), rows, layer.neurons))
        return states

    def read_out(self, values: Float[Tensor, "*S N"]) -> Float[Tensor, "*S V"]:
        """Return the logits (or estimates) from the hidden states of the highest layer."""
        for k, layer in enumerate(self.configuration.hidden):
            values = self._dropped(apply(layer, *self.hidden_weights(k), values))
        return nn.functional.linear(values, self.readout_weights, self.readout_biases)

    def forward(
        self,
        tokens: Int[Tensor, "T B"] | Float[Tensor, "T B I"],
        state: Sequence[State] | None = None,
        *,
        lengths: Int[Tensor, "B"] | None = None,
        keep: Sequence[Sequence[str]] | None = None,
        interventions: Sequence[Intervention] = (),
        engine: Engine = "auto",
        reads: Reads | None = None,
    ) -> Output:
        """Run the network.

        Args:
            tokens: ids, for which `gatescope.vocabulary.is_symbol` says how unknown symbols and padding are read; or
                numbers, which may be NaN in the padding.
            state: for each layer, the states before the first step; the network's own initial states if None, which
                are 0 unless the configuration has others.
            lengths: the number of steps of each sequence; all T if None. Padding influences neither the results of a
                sequence's own steps nor its final state.
            keep: for each layer, the signals and drives to return; none if None.
            interventions: changes of named signals; see `gatescope.engine.interventions`.
            engine: see `gatescope.engine.run`.
            reads: when to read out, instead of the configuration's choice.

        Raises:
            ReadingError: an id is neither a symbol, nor the id of unknown symbols, nor padding (-1).
            InterventionError: an intervention names a layer, signal or neuron that the network does not have.
            EngineError: see `gatescope.engine.run`.
        """
        layers, names = self.configuration.layers, self.configuration.names
        interventions = in_named_layers(interventions, names)
        self._check_tokens(tokens)
        inputs = self._first_inputs(tokens, lengths)
        if state is None and self.configuration.starts:
            state = self.initial_states(tokens.shape[1])
        signals: list[Mapping[str, Tensor]] = []
        final: list[State] = []
        for depth, level in enumerate(self.configuration.levels):
            hidden: list[Tensor] = []
            if depth or self.embedding is not None:
                inputs = self._dropped(inputs)
            for k in level:
                kept_names = tuple(keep[k]) if keep is not None else ()
                values, after = run(
                    layers[k].cell,
                    self.parameters_of(k),
                    inputs,
                    None if state is None else state[k],
                    lengths=lengths,
                    keep=tuple(dict.fromkeys(("h", *kept_names))),
                    interventions=[change for change in interventions if change.layer == names[k]],
                    reverse=layers[k].reverse,
                    engine=engine,
                )
                final.append(after)
                signals.append({name: values[name] for name in kept_names})
                hidden.append(values["h"])
            inputs = hidden[0] if len(hidden) == 1 else torch.cat(hidden, 2)
        if (reads or self.configuration.readout.reads) == "last step":
            inputs = _at_last_step(inputs, lengths, layers[-1].neurons if layers[-1].reverse else 0)
        return Output(self.read_out(self._dropped(inputs)), tuple(signals), tuple(final))

    def _check_tokens(self, tokens: Tensor) -> None:
        """Refuse numbers in place of ids, and ids beyond the vocabulary, which would be read as the zero vector."""
        vocabulary = self.configuration.vocabulary
        if vocabulary.unit != "number" and (tokens.is_floating_point() or tokens.dtype == torch.bool):
            raise NetworkError("NETWORK_IDS_TYPE", dtype=tokens.dtype)
        if tokens.numel() and vocabulary.unit != "number":
            low, high = tokens.aminmax()
            check_ids(vocabulary, int(low), int(high))

    def _first_inputs(self, tokens: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the inputs of the first layer: ids, or vectors (T, B, I)."""
        if self.embedding is not None:
            return _embed(tokens, self.embedding)
        if lengths is not None and tokens.is_floating_point():
            # The padding may be NaN, and NaN times a gradient of 0 would be NaN.
            padding = torch.arange(len(tokens), device=tokens.device)[:, None] >= lengths
            return tokens.masked_fill(padding[..., None], 0)
        return tokens

    def _dropped(self, values: Tensor) -> Tensor:
        """Return values with dropout, which acts in training only."""
        share = self.configuration.dropout
        return nn.functional.dropout(values, share) if self.training and share else values


def _configured(configuration: object, settings: dict[str, Any]) -> Configuration:
    """Return the configuration of a network from what its constructor was given."""
    if isinstance(configuration, Vocabulary):
        check_names("Setting of Network", settings, SETTINGS[1:])
        for name in ("cell", "neurons"):
            if name not in settings:
                raise NetworkError("NETWORK_SETTING_MISSING", name=name)
        return configure(configuration, **settings)
    if not isinstance(configuration, Configuration):
        raise NetworkError("NETWORK_CONFIGURATION_TYPE", type=type(configuration).__name__)
    if settings:
        raise NetworkError("NETWORK_SETTINGS_TWICE", names=", ".join(settings))
    return configuration


def _initial_weights(configuration: Configuration, seed: int | None) -> dict[str, Tensor]:
    """Return every weight by its name in the state dict, drawn from the seed; 0 if it is None."""
    weights = {name: torch.zeros(shape) for name, shape in expected_tensors(configuration).items()}
    if seed is None:
        return weights
    generator = Generator(seed)
    for name, value in weights.items():
        if name in ("embedding", "readout_weights") or (name.startswith("hidden.") and name.endswith(".weights")):
            rows, columns = value.shape
            weights[name] = glorot((rows, columns), generator.stream(name))
    *inputs, _ = configuration.inputs
    for k, (count, layer) in enumerate(zip(inputs, configuration.layers, strict=True)):
        values = initialise(layer.cell, count, layer.neurons, generator.stream(f"layers.{k}"))
        weights |= {f"layers.{k}.{name}": value for name, value in values.by_name().items()}
    return weights


class _InitialState(nn.Module):
    """The constant states of a layer before its first step, (N,) each; empty if they are 0."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        for name in layer.cell.states if layer.initial else ():
            self.register_buffer(name, torch.zeros(layer.neurons))


def _embed(tokens: Tensor, weights: Tensor) -> Tensor:
    known = is_symbol(tokens, len(weights))
    return nn.functional.embedding(tokens.where(known, 0), weights) * known.unsqueeze(-1)


def _at_last_step(
    values: Float[Tensor, "T B N"], lengths: Int[Tensor, "B"] | None, reverse: int
) -> Float[Tensor, "B N"]:
    """Return the values at the step that each direction reads last.

    Args:
        values: the hidden states of the highest layer, or of its two directions side by side.
        lengths: the number of steps of each sequence.
        reverse: how many neurons, counted from the last one, read from the end: they read step 0 last.
    """
    if lengths is None:
        last = values[-1]
    else:
        last = values[lengths - 1, torch.arange(len(lengths), device=values.device)]
    return torch.cat([last[:, :-reverse], values[0, :, -reverse:]], 1) if reverse else last


def expected_tensors(configuration: Configuration) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every weight of a network, without making the network."""
    symbols = configuration.vocabulary.size
    *inputs, hidden = configuration.inputs
    tensors: dict[str, tuple[int, ...]] = {}
    if configuration.embedding is not None:
        tensors["embedding"] = (symbols, configuration.embedding)
    for k, (layer, count) in enumerate(zip(configuration.layers, inputs, strict=True)):
        tensors.update({f"layers.{k}.{n}": s for n, s in shapes(layer.cell, count, layer.neurons).items()})
        if layer.initial:
            tensors.update({f"initial.{k}.{state}": (layer.neurons,) for state in layer.cell.states})
    for k, layer in enumerate(configuration.hidden):
        tensors |= {f"hidden.{k}.weights": (layer.neurons, hidden), f"hidden.{k}.biases": (layer.neurons,)}
        hidden = layer.neurons
    readout = {"readout_weights": (configuration.predicted, hidden), "readout_biases": (configuration.predicted,)}
    return tensors | readout


@contextmanager
def evaluating(network: Network) -> Iterator[None]:
    """Turn dropout off inside the block; afterwards the network is in training mode again if it was before."""
    before = network.training
    if not (before and network.configuration.dropout):  # the mode changes nothing else
        yield
        return
    network.eval()
    try:
        yield
    finally:
        network.train(before)


@dataclass(frozen=True)
class Pass:
    """One forward pass over some steps of a batch.

    Attributes:
        steps: which steps of the batch.
        mask: (T, B), true for the steps of a sequence, false for padding.
        state: for each layer, the states before the first of these steps; None for the network's initial states.
        output: the result. Its logits are (B, V) if the network can be read out at the last step only.
    """

    steps: slice
    mask: Tensor
    state: Sequence[State] | None
    output: Output


def passes(
    network: Network,
    tokens: Int[Tensor, "T B"] | Float[Tensor, "T B I"],
    lengths: Int[Tensor, "B"] | None = None,
    *,
    state: Sequence[State] | None = None,
    first: int = 0,
    total: int | None = None,
    copies: int = 1,
    keep: Sequence[Sequence[str]] | None = None,
    interventions: Sequence[Intervention] = (),
    reads: Reads | None = None,
    most_steps: int | None = None,
) -> Iterator[Pass]:
    """Run sequences side by side without gradients and dropout, in passes that bound the memory of long texts.

    Each pass starts from the states in which the previous one ended. All steps are run in one pass if the network reads
    from the end, or if it is read out at the last step only.

    Args:
        network: any network; it is not changed.
        tokens: ids or numbers. Padding of numbers may be NaN.
        lengths: the number of steps of each sequence; all T if None.
        state: for each layer, the states before the first step; the network's initial states if None.
        first: the number of the first of these steps, as interventions count.
        total: the number of all steps, as interventions count; `first` + T if None.
        copies: how often the batch is repeated: B becomes copies · B, all sequences of the first copy first.
        keep: for each layer, the signals and drives to return.
        interventions: changes of named signals, at steps of the whole run.
        reads: when to read out, instead of the configuration's choice. A network that reads from the end and is read
            out once cannot be read out at every step.
        most_steps: the largest number of steps of one pass, if the steps are not run as a whole; None: as many as the
            memory allows.

    Raises:
        InterventionError: an intervention does not fit the network or the number of steps.
    """
    configuration = network.configuration
    interventions = in_named_layers(interventions, configuration.names)
    reads = reads or configuration.readout.reads
    if configuration.both_ways and configuration.readout.reads == "last step":
        reads = "last step"
    whole = configuration.both_ways or reads == "last step"
    steps, rows = tokens.shape[0], tokens.shape[1] * copies
    if lengths is None:
        lengths = torch.full((tokens.shape[1],), steps)
    if copies > 1:
        lengths = lengths.repeat(copies)
    total = first + steps if total is None else total
    bound = min(PASS_STEPS, PASS_PREDICTIONS // configuration.predicted)
    bound = max(1, bound // max(1, rows))
    steps_of_pass = steps if whole else min(bound, most_steps or bound)
    for start in range(0, steps, max(1, steps_of_pass)):
        part = tokens[start : start + steps_of_pass]
        stop = start + len(part)
        mask = torch.arange(start, stop)[:, None] < lengths
        if copies > 1:
            part = part.repeat(1, copies, *[1] * (part.ndim - 2))
        if part.is_floating_point():
            part = part.to(network.readout_biases.dtype).masked_fill(~mask[..., None], 0)
        else:
            part = part.long()
        with torch.inference_mode(), evaluating(network):
            output = network(
                part,
                state,
                lengths=lengths if whole else None,
                keep=keep,
                interventions=[change.within(first + start, first + stop, total) for change in interventions],
                reads=reads,
            )
        yield Pass(slice(start, stop), mask, state, output)
        state = output.state
        del output  # its memory is free for the next pass


def predict(network: Network, sequences: Sequence[Reading]) -> list[NDArray[np.floating[Any]]]:
    """Return the predictions for several sequences, without recording anything else.

    Args:
        network: any network.
        sequences: ids, (T,) each, or numbers, (T, I) each; each from the initial state.

    Returns:
        For each sequence (T, V): log-probabilities in nats of the symbols or classes, or estimates of the numbers. A
        network that is read out once has (1, V). A sequence without steps has (0, V).
    """
    configuration = network.configuration
    sequences = readings(configuration.vocabulary, sequences)
    order = sorted((k for k in range(len(sequences)) if len(sequences[k])), key=lambda k: len(sequences[k]))
    empty = np.empty((0, configuration.predicted), np.float32)
    predictions: list[NDArray[np.floating[Any]]] = [empty] * len(sequences)
    for group in (order[k : k + GROUP_SEQUENCES] for k in range(0, len(order), GROUP_SEQUENCES)):
        tokens, lengths = padded([sequences[k] for k in group])
        steps = torch.from_numpy(tokens).transpose(0, 1)
        parts = [
            predictions_of(configuration, piece.output.logits).numpy()
            for piece in passes(network, steps, torch.from_numpy(lengths))
        ]
        values = parts[0][None] if configuration.readout.reads == "last step" else np.concatenate(parts)
        for column, (k, length) in enumerate(zip(group, lengths, strict=True)):
            predictions[k] = values[:length, column]
    return predictions


def predictions_of(configuration: Configuration, logits: Tensor) -> Tensor:
    """Return log-probabilities in nats of symbols or classes, or estimates of numbers, from `Output.logits`."""
    return logits if configuration.readout.kind == "numbers" else logits.log_softmax(-1)


def padded(sequences: Sequence[Reading]) -> tuple[Reading, NDArray[np.int64]]:
    """Return sequences side by side, and their lengths (S,).

    Args:
        sequences: ids, (T,) each, or numbers, (T, I) each.

    Returns:
        (S, T) ids with padding of -1, or (S, T, I) numbers with padding of NaN.
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    numbers = bool(sequences) and sequences[0].ndim == 2
    size = (len(sequences), int(lengths.max(initial=0)), *(sequences[0].shape[1:] if numbers else ()))
    steps = np.full(size, np.nan, np.float32) if numbers else np.full(size, PADDING, np.int32)
    for row, sequence in zip(steps, sequences, strict=True):
        row[: len(sequence)] = sequence
    return steps, lengths
