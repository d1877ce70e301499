"""The common part of all modules: check the arguments, run all layers in both directions, return the outputs.

The modules of torch.nn are the specification, including the types of errors. The engine computes the layers.

`T` steps, `B` sequences, `I` inputs, `N` neurons, `P` projected values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from gatescope.cells import Cell
from gatescope.engine import Engine, Intervention
from gatescope.engine.interventions import in_named_layers
from gatescope.nn.direction import Direction, run_direction
from gatescope.nn.module_errors import ModuleError, ModuleIndexError, ModuleRuntimeError
from gatescope.nn.packing import Batch, batch_of, data_of
from gatescope.nn.precision import full_precision
from gatescope.nn.traces import InputMeaning, LayerRun, trace_of
from gatescope.trace import Trace
from gatescope.vocabulary import Vocabulary


class Stack:
    """The part of a module that is the same for all cells. It precedes the class of torch among the bases.

    Attributes:
        cell: the equations of every layer.
        engine: the engine that runs them; see `gatescope.engine.run`.
        initial: the names of the initial states in the order of `hx`, the hidden state first.
    """

    engine: Engine = "auto"  # a default for modules that were pickled by an earlier version
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
        """Return the weights of one direction of one layer in the engine's layout."""
        raise NotImplementedError

    @property
    def initial(self) -> tuple[str, ...]:
        """The names of the states in the order of `hx`: the hidden state first, then in the order of the cell."""
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
        """Run all layers, with the arguments and results of torch.nn.

        Args:
            input: (T, B, I), or (B, T, I) with `batch_first`, or one sequence (T, I), or a PackedSequence.
            hx: the states before the first step, (layers · directions, B, N) each, without B for one sequence; 0 by
                default. One tensor if the cell has one state, otherwise a tuple in the order of `initial`.
            interventions: changes of signals, each in the layer that it names. Rows count the sequences in the
                caller's order, packed or not; steps count from the beginning of a sequence.
            interventions_reverse: the same in the backward direction of a layer.

        Returns:
            The hidden states of the last layer at every step, in the form of the input, and the states after the last
            step.

        Raises:
            ModuleError: the arguments do not fit. The error is also of the type that torch.nn raises.
            InterventionError: an intervention on a layer, signal, neuron, step or row that does not exist.
        """
        # torch.compile runs this method as it is, between compiled pieces.
        forward = _uncompiled() if torch.compiler.is_compiling() else Stack._forward
        return forward(self, input, hx, interventions, interventions_reverse)

    def _forward(
        self, inputs: Any, hx: Any, forward: Sequence[Intervention], backward: Sequence[Intervention]
    ) -> tuple[Any, Any]:
        changes = self._changes_by_direction(forward, backward)
        if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
            raise ModuleRuntimeError("MODULE_TRACED", module=type(self).__name__)
        self._check_axes(inputs, hx)
        with full_precision(inputs) as mixed:
            batch, state = self._prepare(inputs, hx, mixed)
            output, final = self._run(batch, state, ("h",), changes, self.training)
        if batch.single:
            final = [value.squeeze(1) for value in final]
        return batch.in_original_form(output), final[0] if len(final) == 1 else tuple(final)

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
        """Run all layers without dropout; record every signal of every neuron at every step, and check the equations.

        Args:
            input: as in `forward`.
            hx: as in `forward`.
            drives: whether the trace contains the drives. Without them it cannot be checked again completely; they are
                checked while recording in any case.
            text: the meaning of the vectors: one text for each sequence in the caller's order, one symbol for each
                step.
            vocabulary: the vocabulary of the text; by default its characters. Without a text and with `inputs`, the
                names of the inputs.
            inputs: whether the trace contains the vectors.
            interventions: as in `forward`.
            interventions_reverse: as in `forward`.

        Returns:
            A trace with the layers "layer0", "layer0_reverse", "layer1", ... Without a text its tokens are -1. In a
            layer with a projection, h is the value before the projection.

        Raises:
            TraceError: traces do not have the precision of the module, or the text does not fit the sequences.
            ModuleError: as `forward`.
            InterventionError: as `forward`.
        """
        changes = self._changes_by_direction(interventions, interventions_reverse)
        self._check_axes(input, hx)
        runs: list[LayerRun] = []
        keep = (*self.cell.signals, *self.cell.drives)
        with torch.no_grad(), full_precision(input) as mixed:
            batch, state = self._prepare(input, hx, mixed)
            self._run(batch, state, keep, changes, False, runs.append)
        return trace_of(self.cell, runs, batch.inputs, batch.lengths, drives, InputMeaning(text, vocabulary, inputs))

    def flatten_parameters(self) -> None:
        """Do nothing. The engine needs no flat weights, but programs call this method of torch.nn."""

    def __prepare_scriptable__(self) -> Any:
        raise ModuleRuntimeError("MODULE_SCRIPTED", module=type(self).__name__)

    def _run(
        self,
        batch: Batch,
        state: Mapping[str, Tensor] | None,
        keep: Sequence[str],
        changes: tuple[Sequence[Intervention], Sequence[Intervention]],
        training: bool,
        on_run: Callable[[LayerRun], None] | None = None,
        known: Float[Tensor, "T B _"] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Run all layers.

        Args:
            batch: the inputs.
            state: the states before the first step, (layers · directions, B, N or P) each; None for 0.
            keep: the signals and drives to compute for `on_run`.
            changes: the interventions of the forward and of the backward directions.
            training: whether dropout is active.
            on_run: called with the run of each direction of each layer.
            known: the outputs of the last layer, if they are known. They are returned, and its steps read them.

        Returns:
            The outputs of the last layer, (T, B, directions · N), and the final states, (layers · directions, B, N).
        """
        inputs, finals = batch.inputs, {name: list[Tensor]() for name in self.initial}
        directions = (False, True) if self.bidirectional else (False,)
        for layer in range(self.num_layers):
            outputs = []
            known_here = known if layer + 1 == self.num_layers and not self.proj_size else None
            hidden = (None, None) if known_here is None else known_here.split(self.hidden_size, 2)
            names = keep if known_here is not None or "h" in keep else (*keep, "h")
            for reverse in directions:
                start = None
                if state is not None:
                    index = layer * len(directions) + reverse
                    start = {name: value[index] for name, value in state.items()}
                direction = self.direction(layer, reverse)
                layer_name = f"layer{layer}_reverse" if reverse else f"layer{layer}"
                acting = [change for change in changes[reverse] if change.layer == layer_name]
                layer_run, output, final = run_direction(
                    self.cell, direction, inputs, start, batch.lengths, names, acting, self.engine, hidden[reverse]
                )
                if on_run is not None:
                    on_run(layer_run)
                outputs.append(output)
                for name, values in finals.items():
                    values.append(final[name])
            inputs = known_here
            if inputs is None:
                inputs = torch.cat(outputs, 2) if self.bidirectional else outputs[0]
            if training and self.dropout and layer + 1 < self.num_layers:
                # In torch's order and without padding, so that the same seed drops the same values.
                inputs = batch.from_packed(dropout(batch.to_packed(inputs), self.dropout))
        if inputs.requires_grad and not self.bidirectional and not self.proj_size:
            inputs = inputs.clone()  # the caller may change it in place, while the backward pass reads the original
        return inputs, [torch.stack(v) if len(v) > 1 else v[0].unsqueeze(0) for v in finals.values()]

    def _check_axes(self, inputs: Any, hx: Any) -> None:
        """Refuse inputs and states with a wrong number of axes."""
        axes = data_of(inputs).dim()
        if isinstance(inputs, PackedSequence):
            if axes != 2:
                raise ModuleRuntimeError("MODULE_PACKED_AXES", axes=axes, size=self.input_size)
            return
        module = type(self).__name__
        if axes not in (2, 3):
            raise ModuleError("MODULE_INPUT_AXES", module=module, axes=axes, size=self.input_size)
        if hx is None:
            return
        state_axes = [value.dim() for value in self._states_of(hx)]
        if any(count != axes for count in state_axes):
            shown = " and ".join(map(str, state_axes))
            raise ModuleRuntimeError("MODULE_STATE_AXES", module=module, expected=axes, axes=shown)

    def _states_of(self, hx: Any) -> list[Any]:
        """Return the states of `hx` as a list, in the order of `initial`."""
        count = len(self.initial)
        if count == 1:
            return [hx]
        if len(hx) != count:
            error = ModuleIndexError if len(hx) < count else ModuleRuntimeError
            names = ", ".join(self.initial)
            raise error("MODULE_STATE_COUNT", module=type(self).__name__, expected=count, names=names, count=len(hx))
        return [hx[k] for k in range(count)]

    def _prepare(self, inputs: Any, hx: Any, mixed: bool) -> tuple[Batch, dict[str, Tensor] | None]:
        """Check the arguments as torch.nn does and return the batch and the states, (layers · directions, B, N) each.

        With `mixed`, inputs and states of any precision are converted to the precision of the weights.
        """
        weights, module = self.weight_ih_l0, type(self).__name__
        data = data_of(inputs)
        if data.dtype != weights.dtype and not mixed:
            raise ModuleError("MODULE_INPUT_DTYPE", module=module, expected=weights.dtype, dtype=data.dtype)
        if data.shape[-1] != self.input_size:
            raise ModuleRuntimeError("MODULE_INPUT_SIZE", module=module, expected=self.input_size, size=data.shape[-1])
        if mixed:
            inputs = inputs.to(weights.dtype)
        batch = batch_of(inputs, self.batch_first)
        steps, rows = batch.inputs.shape[:2]
        state = None
        if hx is not None:
            values = [value.unsqueeze(1) if batch.single else value for value in self._states_of(hx)]
            state = {}
            for k, (name, value) in enumerate(zip(self.initial, values, strict=True)):
                size = (self.num_layers * (2 if self.bidirectional else 1), rows, self._size_of(name))
                if tuple(value.shape) != size:
                    shown = "hx" if len(values) == 1 else f"hx[{k}]"
                    shape = tuple(value.shape)
                    raise ModuleRuntimeError(
                        "MODULE_STATE_SHAPE", module=module, state=shown, expected=size, shape=shape
                    )
                if not mixed and value.dtype != weights.dtype:
                    raise ModuleRuntimeError(
                        "MODULE_STATE_DTYPE", module=module, state=name, expected=data.dtype, dtype=value.dtype
                    )
                if value.device != data.device:
                    raise ModuleRuntimeError(
                        "MODULE_STATE_DEVICE", module=module, state=name, expected=data.device, device=value.device
                    )
                state[name] = value.to(weights.dtype)
        if data.device != weights.device:
            raise ModuleRuntimeError("MODULE_INPUT_DEVICE", module=module, expected=weights.device, device=data.device)
        if not steps:
            raise ModuleRuntimeError("MODULE_INPUT_EMPTY", module=module)
        return batch, state

    def _size_of(self, state: str) -> int:
        return self.proj_size if self.proj_size and state == "h" else self.hidden_size

    def _changes_by_direction(
        self, forward: Sequence[Intervention], backward: Sequence[Intervention]
    ) -> tuple[Sequence[Intervention], Sequence[Intervention]]:
        """Return the interventions of the forward and of the backward directions, with names of layers."""
        names = [f"layer{layer}" for layer in range(self.num_layers)]
        reversed_names = [f"{name}_reverse" for name in names]
        backward = [*backward, *(change for change in forward if _is_reverse(change))]
        forward = in_named_layers([change for change in forward if not _is_reverse(change)], names)
        if backward and not self.bidirectional:
            raise ModuleError("MODULE_ONE_DIRECTION", module=type(self).__name__)
        # In interventions_reverse, "layer0" can only mean the backward direction of layer 0.
        named = [
            replace(change, layer=f"{change.layer}_reverse") if change.layer in names else change for change in backward
        ]
        return forward, in_named_layers(named, reversed_names)


def _is_reverse(change: Intervention) -> bool:
    return isinstance(change.layer, str) and change.layer.endswith("_reverse")


def _uncompiled() -> Callable[..., Any]:
    """Return `Stack._forward`, excluded from compilation. Only called while compiling: the import takes seconds."""
    return torch.compiler.disable(Stack._forward)
