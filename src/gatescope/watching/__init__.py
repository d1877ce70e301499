"""Recording of torch's recurrent modules inside any model, while the model runs on its own inputs.

The arguments and results of every call are copied; the model does not change, and its outputs are the same bit for bit.
The gates, which torch does not return, are computed by the engine on demand, from the same inputs, states and weights.
The trace contains the module's own hidden states of the last layer, and every step reads these: so no step waits for
another, and rounding differences do not grow from step to step. The self-check of the trace shows whether the module
follows the equations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import nn

from gatescope.messages import Message
from gatescope.trace import Trace
from gatescope.vocabulary import Vocabulary
from gatescope.watching.call_copies import CELLS, LAYERED, Recorder
from gatescope.watching.calls import Call, WatchError
from gatescope.watching.observing import observed
from gatescope.watching.sequences import joined

__all__ = ["Call", "WatchError", "Watched", "watch"]


class UnknownModuleError(WatchError, KeyError):
    """A name that no watched module has."""


class Watched(Mapping[str, Trace]):
    """The watched modules of a model and their calls: `watched["encoder.rnn"]` is a trace.

    A module with several names in the model has the same calls under each; only the first name is listed.

    Args:
        recorders: name -> the recorder of the module.
        names: every name -> the first name of the same module.
    """

    def __init__(self, recorders: Mapping[str, Recorder], names: Mapping[str, str]) -> None:
        self._recorders, self._names = recorders, names

    def __iter__(self) -> Iterator[str]:
        return iter(self._recorders)

    def __len__(self) -> int:
        return len(self._recorders)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> Trace:
        """Return the trace of all calls of a module; see `trace`.

        Raises:
            WatchError: the module was not called or cannot be recorded, or its weights changed between its calls.
            UnknownModuleError: no such module is watched.
        """
        return self.trace(name)

    def trace(
        self,
        name: str,
        *,
        calls: slice = slice(None),
        drives: bool = True,
        text: str | Sequence[str] | None = None,
        vocabulary: Vocabulary | None = None,
        inputs: bool = False,
    ) -> Trace:
        """Return the trace of all calls of a module, or of some.

        A row of a call continues a sequence if it starts from the states in which the sequence ended. A row that starts
        from 0, without states, or from other states begins a new sequence, such as an episode.

        Args:
            name: the name of the module.
            calls: the calls to join, such as slice(0, 20).
            drives: as in `Call.trace`.
            text: as in `Call.trace`; one text for each sequence, in the order in which they begin.
            vocabulary: as in `Call.trace`.
            inputs: as in `Call.trace`.

        Raises:
            WatchError: the module was not called or cannot be recorded, or its weights changed between these calls.
            UnknownModuleError: no such module is watched.
            TraceError: traces do not have the precision of the module, or the text does not fit the sequences.
        """
        all_calls = self.calls(name)
        if not all_calls:
            raise WatchError("WATCH_NOT_CALLED", name=name)
        if not all_calls[calls]:
            raise WatchError("WATCH_CALLS_EMPTY", name=name, count=len(all_calls), calls=calls)
        return joined(all_calls[calls]).trace(drives=drives, text=text, vocabulary=vocabulary, inputs=inputs)

    def calls(self, name: str) -> tuple[Call, ...]:
        """Return all calls of a module, in order.

        Args:
            name: the name of the module.

        Raises:
            UnknownModuleError: no such module is watched.
        """
        if name not in self._names:
            raise UnknownModuleError("WATCH_NAME_UNKNOWN", name=name, names=", ".join(self._recorders))
        return tuple(self._recorders[self._names[name]].calls)

    @property
    def problems(self) -> dict[str, str]:
        """Name of a module -> why its first call that cannot be recorded cannot be recorded."""
        problems = {name: [call.problem for call in self.calls(name) if call.problem] for name in self}
        return {name: sentences[0] for name, sentences in problems.items() if sentences}


@contextmanager
def watch(model: nn.Module, modules: Sequence[str] | None = None) -> Iterator[Watched]:
    """Record the recurrent modules of a model while it runs inside the block.

    Recurrent modules are torch.nn.LSTM, GRU and RNN, their cells (LSTMCell, GRUCell, RNNCell), the modules of
    gatescope.nn, and subclasses of all these, called as modules or by `module.forward(...)`. The results of the model
    do not change. A call that cannot be recorded raises an error only when its trace is requested; `Watched.problems`
    lists these calls.

    Every call is stored with copies of its inputs and outputs, so watch a few batches, not an epoch.

    Args:
        model: any model, or a recurrent module itself (its name is then "").
        modules: the names of the modules to watch, as in `model.named_modules()`; None: all recurrent modules.

    Raises:
        WatchError: `model` is not a module, or there is no such recurrent module.
    """
    if not isinstance(model, nn.Module):
        raise WatchError("WATCH_MODEL_INVALID", kind=type(model).__name__)
    requested = [modules] if isinstance(modules, str) else modules
    all_modules = dict(model.named_modules(remove_duplicate=False))
    recurrent = {name: module for name, module in all_modules.items() if isinstance(module, (*LAYERED, *CELLS))}
    if unknown := [name for name in requested or () if name not in recurrent]:
        raise WatchError("WATCH_MODULE_UNKNOWN", unknown=unknown[0], names=", ".join(recurrent) or "none")
    if not recurrent:
        copies = _descriptions_of_copies(all_modules)
        raise WatchError("WATCH_ONLY_COPIES", copies=copies) if copies else WatchError("WATCH_NO_RECURRENT_MODULE")
    names: dict[str, str] = {}
    first: dict[int, str] = {}
    for name in recurrent if requested is None else requested:
        names[name] = first.setdefault(id(recurrent[name]), name)
    recorders = {name: Recorder(name) for name in first.values()}
    with observed([(recurrent[name], recorder) for name, recorder in recorders.items()]):
        yield Watched(recorders, names)


def _descriptions_of_copies(modules: Mapping[str, nn.Module]) -> str:
    """Describe the quantized and the scripted copies of recurrent modules in a model."""
    descriptions = []
    for name, module in modules.items():
        package = f"{type(module).__module__}."
        if getattr(module, "original_name", type(module).__name__) in _RECURRENT_NAMES:
            if ".quantized." in package:
                descriptions.append(Message("WATCH_COPY_QUANTIZED", module=name))
            elif "torch.jit." in package:
                descriptions.append(Message("WATCH_COPY_SCRIPTED", module=name))
    return " ".join(map(str, descriptions))


_RECURRENT_NAMES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
