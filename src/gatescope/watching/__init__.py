"""The recurrent modules of torch inside any model, recorded while the model runs on its owner's own inputs.

What a module was given and what it gave is kept; nothing of the model changes, and its outputs are the same bit for
bit. The gates, which torch computes and throws away, are computed when they are asked for, by the engine, from the same
inputs, states and weights. What the module itself gave, the hidden states of its last layer, goes into the trace as it
was, and every step reads the one before of these: no step has to wait for another, and no difference in the last digit
grows from step to step. The self-check of the trace says whether the module did what the equations say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import nn

from gatescope.trace import Trace
from gatescope.vocabulary import Vocabulary
from gatescope.watching.calls import Call, WatchError
from gatescope.watching.copying import CELLS, LAYERED, Recorder
from gatescope.watching.seeing import observed
from gatescope.watching.sequences import joined

__all__ = ["Call", "WatchError", "Watched", "watch"]


class UnknownModuleError(WatchError, KeyError):
    """No module of this name is watched."""


class Watched(Mapping[str, Trace]):
    """The recurrent modules of a model and their calls: `watched["encoder.rnn"]` is a trace.

    A module that stands in a model under several names has the same calls under each; only the first name is listed.
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
        """The trace of all calls of a module, a sequence for each row that did not go on where another had stopped.

        Raises:
            WatchError: it was not called, or cannot be recorded, or its weights changed between its calls.
            UnknownModuleError: there is no such module.
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
        """As `watched[name]`, with the arguments of `Call.trace`: what the vectors stand for, and what is kept.

        A row of a call goes on with a sequence if it starts from the states in which the sequence had ended. A row that
        starts from 0, from no states, or from others, starts a sequence of its own: an episode, say.

        Args:
            name: of the module.
            calls: which of its calls, as in slice(0, 20).
            drives, text, vocabulary, inputs: as of `Call.trace`; texts are those of the sequences, in their order.

        Raises:
            WatchError, UnknownModuleError, TraceError: as `watched[name]` and `Call.trace`.
        """
        every = self.calls(name)
        if not every:
            raise WatchError("WATCHING_CALLED_WHILE_WATCHED_RUN", name=name)
        if not every[calls]:
            raise WatchError("WATCHING_SOME_CALLS_NONE_LONGER", name=name, count=len(every), calls=calls)
        return joined(every[calls]).trace(drives=drives, text=text, vocabulary=vocabulary, inputs=inputs)

    def calls(self, name: str) -> tuple[Call, ...]:
        """All calls of a module, in order.

        Raises:
            UnknownModuleError: there is no such module.
        """
        if name not in self._names:
            raise UnknownModuleError("WATCHING_MODULE_WATCHED", name=name, recorders=", ".join(self._recorders))
        return tuple(self._recorders[self._names[name]].kept)

    @property
    def problems(self) -> dict[str, str]:
        """Module -> why some call of it cannot be recorded, for those that have such a call."""
        found = {name: [call.problem for call in self.calls(name) if call.problem] for name in self}
        return {name: problems[0] for name, problems in found.items() if problems}


@contextmanager
def watch(model: nn.Module, modules: Sequence[str] | None = None) -> Iterator[Watched]:
    """Record the recurrent modules inside a model, while it runs inside the block.

    These are torch.nn.LSTM, GRU and RNN, their cells (LSTMCell, GRUCell, RNNCell) and the modules of gatescope.nn, with
    their subclasses, called as modules or by `module.forward(...)`. The model computes what it always computes: a call
    that cannot be recorded is a problem of the trace, said when that is asked for, and in `Watched.problems`.

    Every call keeps a copy of its inputs and outputs, so watch a few batches, not an epoch.

    Args:
        model: any model, or a recurrent module itself (its name is then "").
        modules: the names of the modules to watch, as in `model.named_modules()`; all recurrent ones when None.

    Raises:
        WatchError: there is no such module, or `model` is none.
    """
    if not isinstance(model, nn.Module):
        raise WatchError("WATCHING_MODEL_TORCH_NN_MODULE", name=type(model).__name__)
    wanted = [modules] if isinstance(modules, str) else modules
    every = dict(model.named_modules(remove_duplicate=False))
    there = {name: module for name, module in every.items() if isinstance(module, (*LAYERED, *CELLS))}
    if unknown := [name for name in wanted or () if name not in there]:
        raise WatchError("WATCHING_RECURRENT_MODULE", unknown=unknown[0], value=", ".join(there) or "none")
    if not there:
        raise WatchError("WATCHING_MODEL_TORCH_NN_LSTM", copies=_copies(every))
    names: dict[str, str] = {}
    first: dict[int, str] = {}
    for name in there if wanted is None else wanted:
        names[name] = first.setdefault(id(there[name]), name)
    recorders = {name: Recorder(name) for name in first.values()}
    with observed([(there[name], recorder) for name, recorder in recorders.items()]):
        yield Watched(recorders, names)


def _copies(modules: Mapping[str, nn.Module]) -> str:
    """What stands in a model for recurrent modules and computes something of its own, as a part of a sentence."""
    found = [
        f"{name or 'it'} is {kind}"
        for name, module in modules.items()
        for kind, part in (("quantized", ".quantized."), ("compiled by torch.jit", "torch.jit."))
        if part in f"{type(module).__module__}." and _original(module) in ("RNN", "LSTM", "GRU", *_CELL_NAMES)
    ]
    return f" ({', '.join(found)}: watch the model that was made from)" if found else ""


def _original(module: nn.Module) -> str:
    return str(getattr(module, "original_name", type(module).__name__))


_CELL_NAMES = ("RNNCell", "LSTMCell", "GRUCell")
