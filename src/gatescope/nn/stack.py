"""What every recurrent module does: check what it is given, run its layers in both directions, give it back.

torch.nn's modules are the specification, errors included; what is computed, the engine computes.

`T` step, `B` sequence, `I` input, `N` neuron, `P` projected, `G` and `R` drive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from gatescope.cells import Cell
from gatescope.engine import Engine, Intervention, Parameters, run
from gatescope.engine.interventions import in_numbered_layers
from gatescope.nn.packing import Batch, batch_of, vectors
from gatescope.nn.precision import full_precision
from gatescope.nn.traces import Meaning, Ran, trace_of
from gatescope.trace import Trace
from gatescope.vocabulary import Vocabulary


@dataclass(frozen=True)
class Projected:
    """The projection of a hidden state (Sak, Senior and Beaufays 2014).

    The neurons hear heard · (projection · h) = (heard · projection) · h, so with the product as recurrent weights the
    layer is one of N neurons like any other.

    Attributes:
        projection: what is handed on is projection · h.
        heard: the weights of what is handed on, at the next step.
    """

    projection: Float[Tensor, "P N"]
    heard: Float[Tensor, "G N P"]


@dataclass(frozen=True)
class Direction:
    """One direction of one layer.

    Attributes:
        layer: which layer, from 0.
        reverse: whether it reads the last step first.
        parameters: its weights.
        projected: where what is handed on, and heard at the next step, is a projection of h: its weights.
    """

    layer: int
    reverse: bool
    parameters: Parameters
    projected: Projected | None = None


class Stack:
    """The part of a module that is the same for all cells; it stands before a class of torch among the bases.

    Attributes:
        cell: the equations of every layer.
        engine: which engine runs them; see `gatescope.engine.run`.
        initial: the names of the initial states in the order of `hx`, the hidden state first.
    """

    engine: Engine = "auto"  # here too, for modules that were unpickled
    cell: Cell
    input_size: int
    hidden_size: int
    num_layers: int
    batch_first: bool
    dropout: float
    bidirectional: bool
    training: bool
    proj_size: int = 0
    weight_ih_l0: Tensor

    def direction(self, layer: int, reverse: bool) -> Direction:
        """The weights of one direction of one layer as the engine takes them."""
        raise NotImplementedError

    @property
    def initial(self) -> tuple[str, ...]:
        """The names of the states in the order of `hx`: the hidden state first, then in the cell's own order."""
        states = self.cell.states
        return (*[name for name in states if name == "h"], *[name for name in states if name != "h"])

    def forward(
        self,
        input: Any,  # noqa: A002  torch's name for it
        hx: Any = None,
        *,
        interventions: Sequence[Intervention] = (),
        interventions_reverse: Sequence[Intervention] = (),
    ) -> Any:
        """Run all layers; the arguments and results are those of torch.nn's modules.

        Args:
            input: (T, B, I), or (B, T, I) with `batch_first`, or one sequence (T, I), or a PackedSequence.
            hx: the states before the first step, (layers · directions, B, N) each, without B for one sequence; 0 when
                not given. One tensor where the cell has one state, otherwise a tuple in the order of `initial`.
            interventions: changes of signals, each in the layer that it names. Rows count the sequences as they
                were given, packed or not; steps count from the beginning of a sequence.
            interventions_reverse: the same in the backward direction of a layer.

        Returns:
            The hidden states of the last layer at every step, in the form of the input, and the states after the last.

        Raises:
            RuntimeError, ValueError, IndexError: as torch.nn's module would; or an intervention on what is not there.
        """
        # In a program that is compiled, this is one piece that is not.
        act = _uncompiled() if torch.compiler.is_compiling() else Stack._forward
        return act(self, input, hx, interventions, interventions_reverse)

    def _forward(
        self, given: Any, hx: Any, forward: Sequence[Intervention], backward: Sequence[Intervention]
    ) -> tuple[Any, Any]:
        changes = self._checked_changes(forward, backward)
        if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
            raise RuntimeError(_NO_SCRIPT.format(name=type(self).__name__, what="traced"))
        self._check_shape(given, hx)
        with full_precision(given) as mixed:
            batch, state = self._prepared(given, hx, mixed)
            output, final = self._run(batch, state, ("h",), changes, self.training)
        if batch.single:
            final = [value.squeeze(1) for value in final]
        return batch.given_back(output), final[0] if len(final) == 1 else tuple(final)

    def record(
        self,
        input: Any,  # noqa: A002  as in forward
        hx: Any = None,
        *,
        drives: bool = True,
        text: str | Sequence[str] | None = None,
        vocabulary: Vocabulary | None = None,
        inputs: bool = False,
        interventions: Sequence[Intervention] = (),
        interventions_reverse: Sequence[Intervention] = (),
    ) -> Trace:
        """Run all layers, without dropout, and keep every signal of every neuron at every step, checked.

        Args:
            drives: whether the trace keeps the drives, without which it cannot be checked again as a whole. They are
                checked while recording in any case.
            text: what the vectors stand for: one text for each sequence as it was given, one symbol for each step.
            vocabulary: of the text; that of its characters when not given. Without a text and with `inputs`, the names
                of the inputs.
            inputs: whether the trace keeps the vectors.

        Returns:
            A trace whose layers are "layer0", "layer0_reverse", "layer1", ...; without a text its tokens are -1.
            Where there is a projection, h is what is projected.

        Raises:
            TraceError: the module is of a precision that traces do not have, or the text does not fit the sequences.
            RuntimeError, ValueError, IndexError: as `forward`.
        """
        changes = self._checked_changes(interventions, interventions_reverse)
        self._check_shape(input, hx)
        seen: list[Ran] = []
        keep = (*self.cell.signals, *self.cell.drives)
        with torch.no_grad(), full_precision(input) as mixed:
            batch, state = self._prepared(input, hx, mixed)
            self._run(batch, state, keep, changes, False, seen.append)
        return trace_of(self.cell, seen, batch.inputs, batch.lengths, drives, Meaning(text, vocabulary, inputs))

    def flatten_parameters(self) -> None:
        """Do nothing: the engine takes the weights as they are. It is here because programs call it."""

    def __prepare_scriptable__(self) -> Any:
        raise RuntimeError(_NO_SCRIPT.format(name=type(self).__name__, what="scripted"))

    def _run(
        self,
        batch: Batch,
        state: Mapping[str, Tensor] | None,
        keep: Sequence[str],
        changes: tuple[Sequence[Intervention], Sequence[Intervention]],
        training: bool,
        see: Callable[[Ran], None] | None = None,
        known: Float[Tensor, "T B _"] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """The outputs of the last layer, (T, B, directions · N), and the final states, (layers · directions, B, N).

        Where the outputs are `known` already, they are taken as they are, and the steps of the last layer read them.
        """
        inputs, finals = batch.inputs, {name: list[Tensor]() for name in self.initial}
        directions = (False, True) if self.bidirectional else (False,)
        for layer in range(self.num_layers):
            outputs = []
            told = known if layer + 1 == self.num_layers and not self.proj_size else None
            hidden = (
                (None, None) if told is None else told.split(self.hidden_size, 2) if self.bidirectional else (told,)
            )
            kept = keep if told is not None or "h" in keep else (*keep, "h")
            for reverse in directions:
                start = None
                if state is not None:
                    place = layer * len(directions) + reverse
                    start = {name: value[place] for name, value in state.items()}
                direction = self.direction(layer, reverse)
                acting = [one for one in changes[reverse] if one.layer == layer]
                ran, output, final = _run_direction(
                    self.cell, direction, inputs, start, batch.lengths, kept, acting, self.engine, hidden[reverse]
                )
                if see is not None:
                    see(ran)
                outputs.append(output)
                for name, values in finals.items():
                    values.append(final[name])
            inputs = told if told is not None else torch.cat(outputs, 2) if self.bidirectional else outputs[0]
            if training and self.dropout and layer + 1 < self.num_layers:
                # On what torch would draw it for, in its order: the same numbers are dropped for the same seed.
                inputs = batch.unflat(dropout(batch.flat(inputs), self.dropout))
        if inputs.requires_grad and not self.bidirectional and not self.proj_size:
            inputs = inputs.clone()  # the backward pass reads the engine's own, and this one may be changed in place
        return inputs, [torch.stack(v) if len(v) > 1 else v[0].unsqueeze(0) for v in finals.values()]

    def _check_shape(self, given: Any, hx: Any) -> None:
        """The number of axes of what was given."""
        packed = isinstance(given, PackedSequence)
        axes = vectors(given).dim()
        if packed:
            if axes != 2:
                raise RuntimeError(f"the vectors of a packed input must have 2 axes, got {axes}")
            return
        if axes not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {axes}D tensor instead")
        if hx is None:
            return
        found = [value.dim() for value in self._states_of(hx)]
        if any(count != axes for count in found):
            kind = "batched" if axes == 3 else "unbatched"
            names = "hx" if len(found) == 1 else "the states of hx"
            told = ", ".join(f"{count}-D" for count in found)
            raise RuntimeError(f"For {kind} {axes}-D input, {names} should also be {axes}-D but got {told}")

    def _states_of(self, hx: Any) -> list[Any]:
        """The states in what was given as `hx`, in the order of `initial`."""
        count = len(self.initial)
        if count == 1:
            return [hx]
        if len(hx) != count:
            problem = f"hx must have {count} states, {', '.join(self.initial)}; got {len(hx)}"
            raise IndexError(problem) if len(hx) < count else RuntimeError(problem)
        return [hx[k] for k in range(count)]

    def _prepared(self, given: Any, hx: Any, mixed: bool) -> tuple[Batch, dict[str, Tensor] | None]:
        """The batch and the states, (layers · directions, B, N) each, after the checks that torch.nn makes.

        With `mixed` they may be of any precision and become that of the weights.
        """
        weights = self.weight_ih_l0
        data = vectors(given)
        if data.dtype != weights.dtype and not mixed:
            raise ValueError(
                f"RNN input dtype ({data.dtype}) does not match weight dtype ({weights.dtype}). "
                f"Convert input: input.to({weights.dtype}), or convert model: model.to({data.dtype})"
            )
        if data.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {data.shape[-1]}"
            )
        if mixed:
            given = given.to(weights.dtype)
        batch = batch_of(given, self.batch_first)
        steps, rows = batch.inputs.shape[:2]
        state = None
        if hx is not None:
            values = [value.unsqueeze(1) if batch.single else value for value in self._states_of(hx)]
            state = {}
            for k, (name, value) in enumerate(zip(self.initial, values, strict=True)):
                size = (self.num_layers * (2 if self.bidirectional else 1), rows, self._size_of(name))
                if tuple(value.shape) != size:
                    which = "hidden" if len(values) == 1 else f"hidden[{k}]"
                    raise RuntimeError(f"Expected {which} size {size}, got {list(value.shape)}")
                if not mixed and value.dtype != weights.dtype:
                    raise RuntimeError(
                        "Input and hidden tensors are not the same dtype: "
                        f"the input is {data.dtype}, the initial {name} {value.dtype}"
                    )
                if value.device != data.device:
                    raise RuntimeError(
                        "Input and hidden tensors are not at the same device: "
                        f"the input is on {data.device}, the initial {name} on {value.device}"
                    )
                state[name] = value.to(weights.dtype)
        if data.device != weights.device:
            raise RuntimeError(
                "Input and parameter tensors are not at the same device: "
                f"the input is on {data.device}, the parameters on {weights.device}"
            )
        if not steps:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        return batch, state

    def _size_of(self, state: str) -> int:
        return self.proj_size if self.proj_size and state == "h" else self.hidden_size

    def _checked_changes(
        self, forward: Sequence[Intervention], backward: Sequence[Intervention]
    ) -> tuple[Sequence[Intervention], Sequence[Intervention]]:
        names = [f"layer{layer}" for layer in range(self.num_layers)]
        reversed_names = [f"{name}_reverse" for name in names]
        turned = [isinstance(one.layer, str) and one.layer.endswith("_reverse") for one in forward]
        backward = [*backward, *(one for one, back in zip(forward, turned, strict=True) if back)]
        forward = in_numbered_layers([one for one, back in zip(forward, turned, strict=True) if not back], names)
        if backward and not self.bidirectional:
            raise ValueError("interventions_reverse were given to a module with one direction; give interventions.")
        # There, "layer0" can only be the backward direction of layer 0.
        named = [replace(one, layer=f"{one.layer}_reverse") if one.layer in names else one for one in backward]
        return forward, in_numbered_layers(named, reversed_names)


_NO_SCRIPT = (
    "gatescope.nn.{name} cannot be {what} by torch.jit, which would keep the numbers of one run, or nothing. Load its "
    "state_dict() into the module of the same name in torch.nn, which computes the same, and use that."
)


def _uncompiled() -> Callable[..., Any]:
    """Made when a program is compiled only: it imports torch's compiler, which takes seconds."""
    return torch.compiler.disable(Stack._forward)


def _run_direction(
    cell: Cell,
    direction: Direction,
    inputs: Tensor,
    state: dict[str, Tensor] | None,
    lengths: Tensor | None,
    keep: Sequence[str],
    changes: Sequence[Intervention],
    engine: Engine,
    hidden: Float[Tensor, "T B N"] | None,
) -> tuple[Ran, Tensor, dict[str, Tensor]]:
    """What was run, what it hands on (T, B, N or P), and its final states.

    Where the `hidden` states are known, they are what every step reads and what is handed on; and the signal h, unless
    what the equations make of it is to be kept.
    """
    parameters, reverse, projected = direction.parameters, direction.reverse, direction.projected
    if projected is not None and state is not None:
        parameters, inputs, state = _started(parameters, projected, reverse, inputs, state, lengths)
    signals, final = run(
        cell,
        parameters,
        inputs,
        state,
        lengths=lengths,
        reverse=reverse,
        keep=keep,
        interventions=changes,
        hidden=hidden,
        engine=engine,
    )
    if hidden is not None:
        signals.setdefault("h", hidden)
    ran = Ran(direction.layer, reverse, parameters, inputs, state, signals, changes, engine)
    if projected is None:
        return ran, signals["h"] if hidden is None else hidden, final
    smaller = projected.projection.t()
    return ran, signals["h"] @ smaller, {**final, "h": final["h"] @ smaller}


def _started(
    weights: Parameters,
    projected: Projected,
    reverse: bool,
    inputs: Tensor,
    state: dict[str, Tensor],
    lengths: Tensor | None,
) -> tuple[Parameters, Tensor, dict[str, Tensor]]:
    """A layer that starts from a projected hidden state as one that starts from 0.

    No h need have that projection. What the state says is therefore heard as P more inputs of the first step read.
    """
    heard = state["h"]
    steps = torch.arange(len(inputs), device=inputs.device).unsqueeze(1)
    first = 0 if not reverse else len(inputs) - 1 if lengths is None else lengths - 1
    more = heard.where((steps == first).unsqueeze(2), 0).expand(-1, *heard.shape)
    both = torch.cat([weights.input_weights, projected.heard], 2)
    nothing = heard.new_zeros(len(heard), weights.biases.shape[1])
    return replace(weights, input_weights=both), torch.cat([inputs, more], 2), {**state, "h": nothing}
