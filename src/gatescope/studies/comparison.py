"""Which cells learn a task, and how far do their gradients reach before, during and after training?

Gates were invented so that gradients reach further back. Whether that decides if a cell learns a task can be seen only
by training several cells with the same budget and measuring their memory beside their score.

`reach` measures how far the memory of one network reaches: its horizons, and for every layer the growth of gradients
per step and the terms of the equations through which they pass. `compare` trains several cells on one task with one
budget, seed by seed, in run directories, and measures the reach of each network before, during and after training.

`T` step, `D` distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.cells import Cell, cell_of
from gatescope.configuration import Configuration
from gatescope.network import Network, predict
from gatescope.runs import HISTORY, Run
from gatescope.sources import Answers, Recordable, sequences_of
from gatescope.studies.common.layers import LayerId, number_of
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.gradients.growth import lyapunov
from gatescope.studies.gradients.jacobians import TITLES as TERMS
from gatescope.studies.gradients.jacobians import Jacobians, jacobians_of
from gatescope.studies.gradients.products import product_map
from gatescope.studies.horizon import horizon
from gatescope.tasks import Task, Text
from gatescope.tasks.base.strings import StringTask
from gatescope.training import Settings, TrainingError, create_run, recommended_network, train

MAX_STEPS = 300  # steps of the longest sequence whose Jacobians are multiplied
DEFAULT_DISTANCE = 50  # steps
MAX_EXACT_WIDTH = 128  # numbers in a state up to which the norm at the distance is exact
TEXT_CHARACTERS, STRING_CHARACTERS = 5000, 1000  # of held-out text on which the reach is measured, by kind of task
WHEN = ("beginning", "on the way", "end")
MEASURES = {
    "score": "score",
    "loss": "validation loss",
    "horizon": "memory horizon by gradient: steps until 1/e is left",
    "horizon_1": "the same, until 1 % is left",
    "change": "memory horizon by replaced characters (root of the divergence): steps until 1/e is left",
    "change_1": "the same, until 1 % is left",
    "gradient": "norm of d h / d states so many steps earlier, median",
    "growth": "growth of that norm per step, natural logarithm",
}


@dataclass(frozen=True)
class Reach:
    """How far the memory of a network reaches.

    Attributes:
        horizons: the table of `gatescope.studies.horizon.Horizon`.
        layers: a row for every layer, with the growth of its gradients.
        terms: a row for every layer and term of its Jacobians, with the norm and the share of the derivative.
    """

    horizons: Table
    layers: Table
    terms: Table

    def row(self) -> dict[str, float]:
        """Return the measures of `compare`; for layers, those of the last one, which the readout reads."""
        last = list(self.layers)[-1]
        measures = {"gradient": last["gradient"], "growth": last["growth"]}
        for name, measure in (("horizon", "gradient"), ("change", "root of change")):
            row = next(iter(self.horizons.where(of="input", measure=measure)))
            measures |= {name: row["1/e"], f"{name}_1": row["1 %"]}
        return measures


def reach(
    network: Network,
    source: Recordable,
    *,
    furthest: int = 100,
    distance: int | None = None,
    samples: int = 200,
    layers: Sequence[LayerId] | None = None,
    answers: Answers | None = None,
    seed: int = 0,
) -> Reach:
    """Measure how far the memory of a network reaches on a text.

    Horizons are measured on the whole text, Jacobians on up to 300 steps of its longest sequence. The norms at a
    distance are medians over all pairs of steps that far apart. They are exact if the states of a layer have up to 128
    numbers, and estimates otherwise (see `gatescope.studies.gradients.products.product_map`).

    Args:
        network: any network.
        source: a text, or sequences.
        furthest: the largest distance of the horizons.
        distance: the number of steps between the states of the gradient's norm; None: half of the longest sequence, at
            most 50 and at most `furthest`.
        samples: the number of places at which the horizons are measured.
        layers: the layers, by name or number; None: all layers.
        answers: a function from the text of a sequence to the targets of its steps, as in `horizon`.
        seed: the seed of the drawn places and replacements.

    Raises:
        StudyError: the distance is not in the text, or a layer is not in the network.
        RecordingError: there is nothing to record.
    """
    sequences = sequences_of(network, source)
    longest = max(sequences, key=len)[:MAX_STEPS]
    distance = _distance(len(longest), distance, furthest)
    configuration = network.configuration
    chosen = range(len(configuration.layers)) if layers is None else [number_of(configuration, k) for k in layers]
    rows, terms = [], []
    for k in chosen:
        layer_jacobians = jacobians_of(network, [longest], configuration.names[k])
        about, name = configuration.layers[k], configuration.names[k]
        rows.append(
            {"layer": name, "cell": about.cell.name, "neurons": about.neurons, **_layer(layer_jacobians, distance)}
        )
        terms += [{"layer": name, **row} for row in layer_jacobians.table()]
    titles = {
        "layer": "layer",
        "cell": "cell",
        "neurons": "neurons",
        "gradient": f"norm of d h / d states {distance} steps earlier, median",
        "states_norm": f"norm of d states / d states {distance} steps earlier, median",
        "growth": "growth per step of the norm of d h, natural logarithm",
        "direct": f"norm of the product of the direct terms over {distance} steps, median",
        "rest": f"norm of all other paths over {distance} steps, median",
        "exponent": "largest Lyapunov exponent, nats per step",
    }
    facts = {"distance": distance, "steps": len(longest)}
    names = {"layer": "layer", **TERMS}
    horizons = horizon(network, source, answers=answers, furthest=furthest, samples=samples, seed=seed).table()
    return Reach(horizons, Table.of(rows, titles, **facts), Table.of(terms, names, **facts))


def join_reaches(measurements: Sequence[tuple[str, int, Reach]]) -> Reach:
    """Join the tables of several networks. The columns "run" and "step" tell them apart.

    Args:
        measurements: for each network the name of its run, the step of its weights, and its reach; at least one.
    """

    def joined(name: str) -> Table:
        first: Table = getattr(measurements[0][2], name)
        rows = [{"run": run, "step": step, **row} for run, step, reach in measurements for row in getattr(reach, name)]
        return Table.of(rows, {"run": "run", "step": "step of the weights", **first.titles}, **first.about)

    return Reach(joined("horizons"), joined("layers"), joined("terms"))


def _distance(steps: int, chosen: int | None, furthest: int) -> int:
    """Return the distance of the norms on a sequence with this number of steps."""
    distance = max(1, min(DEFAULT_DISTANCE, furthest, steps // 2)) if chosen is None else chosen
    if not 1 <= distance < steps:
        raise StudyError("COMPARISON_DISTANCE_TOO_LARGE", largest=steps - 1, steps=steps, distance=distance)
    return distance


def _layer(layer_jacobians: Jacobians, distance: int) -> dict[str, float]:
    """Measure the growth of gradients in a layer; a layer without a state has no gradient after one step."""
    if not layer_jacobians.states:
        norms: dict[str, float] = dict.fromkeys(("gradient", "states_norm", "direct", "rest"), 0.0)
        return norms | {"growth": -math.inf, "exponent": -math.inf}
    vectors = layer_jacobians.width if layer_jacobians.width <= MAX_EXACT_WIDTH else None
    sizes = product_map(layer_jacobians, vectors=vectors, furthest=distance)
    norm = sizes.by_state.get("h", sizes.norm)
    near, far = _at(norm, 1), _at(norm, distance)
    return {
        "gradient": _exp(far),
        "states_norm": _exp(_at(sizes.norm, distance)),
        "growth": _growth(near, far, distance - 1) if distance > 1 else _growth(_at(norm, 0), far, 1),
        "direct": _exp(_at(sizes.bypass, distance)),
        "rest": _exp(_at(sizes.rest, distance)),
        "exponent": float(lyapunov(layer_jacobians, 1, skip=min(20, layer_jacobians.steps // 5))[0]),
    }


def _at(logs: NDArray[np.float64], distance: int) -> float:
    """Return the median over all pairs of steps at one distance."""
    return float(np.median(np.diagonal(logs, -distance)))


def _growth(near: float, far: float, steps: int) -> float:
    return (far - near) / steps if math.isfinite(near) else -math.inf


def _exp(log: float) -> float:
    return math.exp(log) if log < 709 else math.inf


def compare(
    task: Task,
    cells: Sequence[str | Cell],
    seeds: int | Sequence[int] = 5,
    *,
    out: str | PathLike[str],
    neurons: Sequence[int] | None = None,
    text: str | None = None,
    distance: int | None = None,
    furthest: int = 100,
    samples: int = 100,
    on_the_way: int = 2,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str, float], None] = lambda what, share: None,
    **changes: Any,
) -> Table:
    """Train several cells on one task with one budget, and measure them at their beginning, on the way and at the end.

    Every training writes an ordinary run directory, out/CELL-SEED. A second call with the same arguments continues an
    interrupted comparison; complete trainings are not repeated.

    Args:
        task: the task that every network learns.
        cells: cells or names of built-in ones, see `gatescope.cells.cell_of`.
        seeds: the number of seeds, counted from 0, or a list of seeds.
        out: the directory of the run directories.
        neurons: the neurons of each layer; None: the number that the task recommends.
        text: the text on which the reach is measured; None: held-out data of the task.
        distance: the distance of the gradient's norm in steps, as in `reach`.
        furthest: the largest distance of the horizons.
        samples: the number of places at which the horizons are measured.
        on_the_way: the number of checkpoints between beginning and end that are measured, spread evenly.
        stop: called repeatedly; if it returns true, the comparison ends, and the table has the complete trainings.
        progress: called with the cell and seed in training and the share of the comparison that is done.
        changes: settings that replace those that the task recommends, such as steps=500 or minutes=0.1.

    Returns:
        A row for every cell, seed and checkpoint that was measured. "end" means the best weights, which a run shows.
        A cell whose loss is no longer a number has the reason "failed".

    Raises:
        StudyError: there is no such cell, or `out` holds runs of something else.
        RunError, TrainingError, TaskError: the runs cannot be written, or a setting makes no sense.
    """
    chosen = [cell_of(cell) for cell in cells]
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    names = [cell.name for cell in chosen]
    if not chosen or not numbers or len(set(names)) < len(names) or len(set(numbers)) < len(numbers):
        raise StudyError("COMPARISON_CELLS_OR_SEEDS_INVALID", cells=names, seeds=numbers)
    source = (
        text
        if text is not None
        else task.held_out(STRING_CHARACTERS if isinstance(task, StringTask) else TEXT_CHARACTERS)
    )
    parts = [task.vocabulary.encode(part) for part in task.vocabulary.split(source)]
    distance = _distance(min(MAX_STEPS, max(map(len, parts), default=0)), distance, furthest)
    plans = [_plan(Path(out), task, cell, seed, neurons, changes) for seed in numbers for cell in chosen]
    options = {"furthest": furthest, "distance": distance, "samples": samples, "answers": task.answers}
    measure = partial(reach, source=source, **options)
    rows: list[dict[str, Any]] = []
    missing: list[str] = []
    for place, plan in enumerate(plans):
        what = f"{plan.cell.name}, seed {plan.settings.seed}"
        report = partial(_report_share, progress, what, place, len(plans))
        if not stop() and _train(plan, stop, report):
            rows += _rows(plan, measure, on_the_way)
        else:
            missing.append(what)
    order = {name: k for k, name in enumerate(names)}
    rows.sort(key=lambda row: (order[row["cell"]], row["seed"], row["step"]))
    titles = {"cell": "cell", "seed": "seed", "when": "when", "step": "updates", "reason": "why training ended"}
    titles |= {"seconds": "seconds of training", "solved": "whether the task is solved", **MEASURES}
    return Table.of(rows, titles, task=task.name, distance=distance, missing=missing, out=str(out))


def summary(table: Table) -> Table:
    """Summarize a comparison: the median, smallest and largest value of each measure over the seeds of a cell.

    Args:
        table: the table of `compare`.

    Returns:
        Two rows for each cell, for the beginning and the end of training. NaN is ignored. "solved" is the
        number of seeds that solved the task; NaN if no score decides it.
    """
    rows = []
    for cell in dict.fromkeys(table["cell"].tolist()):
        for when in (WHEN[0], WHEN[2]):
            part = table.where(cell=cell, when=when)
            solved, judged = int(np.nansum(part["solved"])), int((~np.isnan(part["solved"])).sum())
            about: dict[str, Any] = {"cell": cell, "when": when, "seeds": len(part)}
            rows.append({**about, "solved": solved if judged else None} | _spread(part))
    titles = {"cell": "cell", "when": "when", "seeds": "seeds", "solved": "seeds that solved the task"}
    for name, title in MEASURES.items():
        titles |= {name: f"{title}, median", f"{name}_low": "its smallest value", f"{name}_high": "its largest value"}
    return Table.of(rows, titles, **table.about)


def _spread(part: Table) -> dict[str, float]:
    """Return the median, smallest and largest value of each measure; NaN without values."""
    spread = {}
    for name in MEASURES:
        known = part[name][~np.isnan(part[name])]
        values = [math.nan] * 3 if not len(known) else [float(f(known)) for f in (np.median, np.min, np.max)]
        spread |= dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
    return spread


@dataclass(frozen=True)
class _Plan:
    """One training."""

    cell: Cell
    task: Task
    settings: Settings
    configuration: Configuration
    path: Path


def _plan(
    out: Path, task: Task, cell: Cell, seed: int, neurons: Sequence[int] | None, changes: Mapping[str, Any]
) -> _Plan:
    """Return the plan of one training.

    Raises:
        StudyError: the directory holds a run with other settings.
    """
    settings = Settings.recommended(task, **{**changes, "seed": seed})
    configuration = recommended_network(task, cell, neurons)
    plan = _Plan(cell, task, settings, configuration, out / f"{cell.name.replace(':', '-')}-{seed}")
    run = Run(plan.path)
    if run.exists:
        same = run.configuration().to_json() == configuration.to_json() and run.task().to_json() == task.to_json()
        if not same or run.settings() != asdict(settings):
            raise StudyError("COMPARISON_RUN_DIFFERS", path=plan.path)
    return plan


def _report_share(progress: Callable[[str, float], None], what: str, place: int, count: int, share: float) -> None:
    progress(what, (place + share) / count)


def _train(plan: _Plan, stop: Callable[[], bool], report: Callable[[float], None]) -> bool:
    """Train a network unless that was done before; return whether the training is complete."""
    run, settings = Run(plan.path), plan.settings
    if not run.exists:
        run = create_run(plan.path, plan.task, plan.configuration, settings)
    report(0.0)

    def report_record(record: Mapping[str, Any]) -> None:
        by_steps = record.get("step", 0) / settings.steps if settings.steps else 0.0
        report(min(1.0, max(by_steps, record.get("seconds", 0.0) / 60 / settings.minutes if settings.minutes else 0.0)))

    if run.state(_end(run)) in ("starting", "created", "interrupted"):
        try:
            return train(run, on_record=report_record, stop=stop).reason != "interrupted"
        except TrainingError:
            return run.state(_end(run)) == "failed"  # a loss of NaN is a result too
    return True


def _end(run: Run) -> dict[str, Any]:
    """Return the last record of the history; empty if there is none."""
    return next(iter(run.read(HISTORY)[-1:]), {})


def _rows(plan: _Plan, measure: Callable[[Network], Reach], on_the_way: int) -> Iterator[dict[str, Any]]:
    """Return the rows of one training: its beginning, its checkpoints and its end."""
    run = Run(plan.path)
    end, (_, best) = _end(run), run.network()
    about = {"cell": plan.cell.name, "seed": plan.settings.seed}
    known = {record["step"]: record for record in run.read(HISTORY) if "validation_loss" in record}
    # Only checkpoints with a validation: one that an interruption left does not exist in an unbroken training.
    between = [step for step in run.checkpoints() if 0 < step < best and step in known]
    picked = np.linspace(0, len(between), min(on_the_way, len(between)) + 2)[1:-1].astype(int)
    steps = [0, *(between[k] for k in dict.fromkeys(picked.tolist())), None]
    for step, when in zip(steps, (WHEN[0], *[WHEN[1]] * (len(steps) - 2), WHEN[2]), strict=True):
        network, at = run.network(step)
        record = known.get(at) or _validated(plan.task, network)
        score = (step is None and end.get("score")) or record.get("score")
        yield {
            **about,
            "when": when,
            "step": at,
            "reason": str(end.get("reason", "")) if step is None else "",
            "seconds": float(end["seconds"]) if step is None and "seconds" in end else None,
            "solved": None if not score or score["solved"] is None else float(score["solved"]),
            "score": score["value"] if score else None,
            "loss": record["validation_loss"],
            **measure(network).row(),
        }


def _validated(task: Task, network: Network) -> dict[str, Any]:
    """Validate an untrained network, which training does not do."""
    predict_with_network = partial(predict, network)
    score = {} if isinstance(task, Text) else {"score": task.score(predict_with_network).to_json()}
    return {"validation_loss": task.validation(predict_with_network), **score}
