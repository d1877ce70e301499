"""The data of a live file: what leaves this machine about a run, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from gatescope.errors import GatescopeError
from gatescope.explorer.findings import findings_of
from gatescope.explorer.gallery import details_of, summary_of
from gatescope.explorer.live.container import FORMAT, MAX_DATA_BYTES, Container, LiveFileError
from gatescope.explorer.live.findings import features, studies, study_text, targets
from gatescope.explorer.live.half import HalfChange, measure, rounded, to_half
from gatescope.explorer.live.local_paths import LocalPaths, paths_in
from gatescope.explorer.live.portable_task import has_corpus, portable_task
from gatescope.explorer.live.tensor_bytes import tensor_bytes
from gatescope.explorer.memory import Memory
from gatescope.explorer.recorder import Recorder
from gatescope.explorer.tracks import Tracks
from gatescope.names import named_settings
from gatescope.network import Network
from gatescope.runs import Run
from gatescope.runs.tensors import checksum
from gatescope.studies.common.table import Table
from gatescope.version import __version__

RUN_SENTENCES = ("problem", "notes", "score", "history")
DETAILS = ("vocabulary", "end", "examples", "history", "samples", "checkpoints", "seed")  # of a run, not of its summary
TASK_SENTENCES = ("source", "notes", "score")


@named_settings
@dataclass(frozen=True)
class LiveOptions:
    """What a live file holds of a run.

    Attributes:
        checkpoints: the number of earlier training steps whose weights are added, evenly over the training.
        text: whether texts of a corpus are included: examples, samples and passages.
        half: whether weights are stored in float16.
        passages: the number of passages of each neuron with its largest values, and of those with its smallest. None: 1
            to 4, fewer for more neurons.
        findings: whether the views that somebody kept on the page are included, with their sentences and texts.
    """

    checkpoints: int = 0
    text: bool = True
    half: bool = False
    passages: int | None = None
    findings: bool = False

    def __post_init__(self) -> None:
        if self.checkpoints < 0 or (self.passages or 0) < 0:
            raise LiveFileError("LIVE_COUNT_NEGATIVE", checkpoints=self.checkpoints, passages=self.passages)


@dataclass(frozen=True)
class LiveRun:
    """A run as a live file holds it.

    Attributes:
        data: the JSON object, a LiveRun of web/src/data/live-data.ts; `weights` and `tracks` are numbers of parts.
        parts: the parts that it refers to.
        training_step: the training step of the weights.
        half: what float16 changes; None for full precision.
    """

    data: Mapping[str, Any]
    parts: tuple[bytes, ...]
    training_step: int
    half: HalfChange | None

    def container(self, start: Mapping[str, Any] | None = None) -> Container:
        """Return the container of a file with this run alone.

        Args:
            start: the view that the file opens with: its "address", and its "text"; None: the page of the run.
        """
        data = {"format": FORMAT, "version": __version__, "runs": [self.data]}
        return Container(data if start is None else {**data, "start": start}, self.parts)

    def renamed(self, name: str) -> LiveRun:
        """Return the same run under another name.

        Args:
            name: the name.
        """
        return replace(self, data={**self.data, "run": {**self.data["run"], "name": name}})


def live_run(run: Run, options: LiveOptions, *, texts: Sequence[str] = (), checkpoints: Sequence[int] = ()) -> LiveRun:
    """Collect what a live file holds of a run.

    Args:
        run: a run with weights; it is not changed.
        options: what to include.
        texts: texts besides the examples whose features and targets are included.
        checkpoints: training steps besides those of the options whose weights are included.

    Raises:
        GatescopeError: the run cannot be read, has no weights, or is too large for a file of its own.
    """
    network, step = run.network()
    task, settings = run.task(), run.settings()
    local = LocalPaths([run.path, *paths_in(task.to_json()), *paths_in(settings)])
    with_text = options.text or not has_corpus(task)
    half = measure(network, task.examples()) if options.half else None
    described = _description(run, half, local, with_text=with_text)
    examples = described["examples"]
    shown = [*examples, *(text for text in texts if text not in examples)]
    steps = sorted({*evenly(run.checkpoints(), options.checkpoints), *(set(checkpoints) & set(run.checkpoints()))})
    parts: list[bytes] = []

    def add(content: bytes) -> int:
        if sum(map(len, parts)) + len(content) > MAX_DATA_BYTES:
            raise LiveFileError("LIVE_RUN_TOO_LARGE", run=run.path, limit=MAX_DATA_BYTES >> 20)
        parts.append(content)
        return len(parts) - 1

    weights = add(weight_bytes(network, step, half=options.half))
    earlier = [{"step": k, "weights": add(weight_bytes(*run.network(k), half=options.half))} for k in steps]
    found = list(studies(run, study_text(run) if with_text else None, options.passages))
    labels = next((study["result"]["labels"] for study in found if study["request"]["study"] == "labels"), None)
    tracks = features(run, shown, None if labels is None else Table.from_json(labels))
    tables = [{**study, "result": without_paths(study["result"], local)} for study in found]
    stars = _stars(run, local, with_text=with_text) if options.findings else []
    portable = portable_task(task, run.name, examples, described["score"])
    data = {
        "run": described | {"checkpoints": steps, "stars": len(stars)},
        "network": run.configuration().to_json(),
        "weights": weights,
        "checkpoints": earlier,
        "studies": rounded(tables) if options.half else tables,
        "findings": _findings(run) if with_text else [],
        "features": [{"text": text, "tracks": add(content)} for text, content in tracks],
        "targets": list(targets(run, task, shown)),
        "stars": stars,
        "task": portable | {name: local.removed(portable[name]) for name in TASK_SENTENCES if name in portable},
        "training": local.removed(settings),
    }
    return LiveRun(data, tuple(parts), step, half)


def _findings(run: Run) -> list[dict[str, Any]]:
    """Return what was measured about a run; its sentences and pictures quote the texts of the task."""
    memory = Memory()
    recorder = Recorder(memory)
    try:
        return [finding.to_json() for finding in findings_of(run, recorder, Tracks(recorder, memory))]
    except GatescopeError:
        return []  # the file is complete without them, as it is without the tables of a task whose text is gone


def _description(run: Run, half: HalfChange | None, local: LocalPaths, *, with_text: bool) -> dict[str, Any]:
    """Return what the page shows of a run, without its checkpoints."""
    described = summary_of(run.name, run) | details_of(run)
    described |= {
        "tags": [],
        "stars": 0,
    }  # words that somebody wrote on the page; `stars` beside it has them on request
    if described["state"] == "training":
        described["state"] = "interrupted"  # the file shows the training as it was at the export
    if half is not None:
        described["notes"] = [*described["notes"], str(half.sentence)]
    if not with_text:
        described |= {"examples": [], "example": "", "samples": []}
        described |= {name: without_quotes(described[name]) for name in ("score", "history")}
    return described | {name: local.removed(described[name]) for name in RUN_SENTENCES}


def _stars(run: Run, local: LocalPaths, *, with_text: bool) -> list[dict[str, Any]]:
    """Return the views that somebody kept on the page; without the texts of a corpus if these are left out."""
    stars = [finding.to_json() for finding in run.findings()]
    stars = [star | {"sentence": local.removed(star["sentence"])} for star in stars]
    if with_text:
        return stars
    return [star | {"view": {name: star["view"][name] for name in star["view"] if name != "text"}} for star in stars]


def without_quotes(value: Any) -> Any:
    """Return a score or a history without the texts that the details of scores quote, such as those classified wrong.

    Args:
        value: the JSON value, or a part of it.
    """
    if isinstance(value, Mapping):
        return {
            name: {key: [] if quotes_in(part) else part for key, part in entry.items()}
            if name == "details" and isinstance(entry, Mapping)
            else without_quotes(entry)
            for name, entry in value.items()
        }
    return [without_quotes(entry) for entry in value] if isinstance(value, list) else value


def quotes_in(detail: Any) -> list[str]:
    """Return the texts that a detail of a score quotes.

    Args:
        detail: a JSON value.
    """
    entries = detail if isinstance(detail, list) else []
    return [entry["text"] for entry in entries if isinstance(entry, Mapping) and "text" in entry]


def summary_in(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the list of runs shows of a run.

    Args:
        described: the run as its page shows it.
    """
    layers = [
        {"cell": layer["cell"]["name"], **{name: layer[name] for name in ("neurons", "reverse", "stacked")}}
        for layer in described["layers"]
    ]
    return {name: described[name] for name in described if name not in DETAILS} | {"layers": layers}


def check_size(live: LiveRun, content: bytes) -> None:
    """Refuse a container that no reader would unpack.

    Args:
        live: the run.
        content: its container.

    Raises:
        LiveFileError: it is too large.
    """
    if len(content) > MAX_DATA_BYTES:
        raise LiveFileError("LIVE_RUN_TOO_LARGE", run=live.data["run"]["name"], limit=MAX_DATA_BYTES >> 20)


def weight_bytes(network: Network, step: int, *, half: bool) -> bytes:
    """Return the weights of a network as weights.safetensors of a run has them.

    Args:
        network: the network.
        step: the training step of its weights.
        half: whether they are rounded to float16.

    Raises:
        LiveFileError: a weight is too large for float16.
    """
    weights = {name: weight.detach().to(torch.float32) for name, weight in network.state_dict().items()}
    if half:
        weights = to_half(weights)
    metadata = {"step": str(step), "format": "pt", "sha256": checksum(weights, step)}
    return tensor_bytes({name: weight.numpy() for name, weight in weights.items()}, metadata)


def without_paths(value: Any, local: LocalPaths) -> Any:
    """Return the result of a study without folders in what its tables say about themselves.

    Args:
        value: the result, or a part of it. The texts of passages stay as they are.
        local: the folders of this machine.
    """
    if isinstance(value, Mapping):
        return {
            name: local.removed(entry) if name == "about" else without_paths(entry, local)
            for name, entry in value.items()
        }
    return [without_paths(entry, local) for entry in value] if isinstance(value, list) else value


def evenly(steps: Sequence[int], count: int) -> list[int]:
    """Return some training steps, as evenly over the training as the checkpoints allow, the first and last included.

    Args:
        steps: the training steps of the checkpoints, in ascending order.
        count: the most to return.
    """
    if count >= len(steps):
        return list(steps)
    wanted = np.linspace(steps[0], steps[-1], count) if count > 1 else np.array(steps[-1:])[:count]
    chosen: list[int] = []
    for k, place in enumerate(wanted):
        left = [step for step in steps if not chosen or step > chosen[-1]]
        left = left[: len(left) - (len(wanted) - k - 1)]  # one is left for each of the following places
        chosen.append(min(left, key=lambda step: abs(step - place)))
    return chosen
