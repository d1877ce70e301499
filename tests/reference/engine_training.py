"""What Python computes in training, for the tests of the engine in TypeScript: bundles, scores, gradients, updates."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from safetensors.torch import save as save_torch
from torch import nn

from gatescope import CELLS, TASKS, Cell, Network, Settings, Vocabulary
from gatescope.configuration import Configuration, Layer
from gatescope.network import predict
from gatescope.tasks import Task
from gatescope.training import Loop, bundle, recommended_network
from tests.reference.engine_shapes import own

SYMBOLS = 5
STEPS, LENGTHS = 7, (7, 2, 5)
RATE, CLIP = 0.02, 0.6
TASK_SETTINGS: dict[str, dict[str, Any]] = {
    "counter": {},
    "selective_counter": {},
    "state_memoriser": {},
    "copy": {},
    "anbn": {"longest": 8, "stop": 0.2},
    "anbncn": {"longest": 6},
    "dyck1": {"longest": 8},
    "dyck2": {"opens": 0.3},
    "parity": {"longest": 10, "stop": 0.2},
}
HISTORY_UPDATES = 40
UPDATES = (0, 150, 400)  # after which a network is scored: none, some and most strings are right
PROSE = "It was the best of times, it was the worst of times;\nit was the age of 'wisdom'.\n"
SHAPES: dict[str, tuple[int | None, tuple[dict[str, Any], ...]]] = {
    "one-hot": (None, (dict(neurons=4, initial=True), dict(neurons=3))),
    "both-ways": (3, (dict(neurons=3), dict(neurons=2, reverse=True), dict(neurons=3), dict(neurons=3, reverse=True))),
    "stacked-reverse": (2, (dict(neurons=3), dict(neurons=2, reverse=True, stacked=True, initial=True))),
}

RATE_CHANGES: tuple[dict[str, Any], ...] = ({}, {"schedule": "linear", "warmup": 9}, {"schedule": "constant"})

Arrays = dict[str, NDArray[Any]]


def tasks(folder: Path) -> Iterator[Task]:
    """Yield the tasks that are written as bundles."""
    for name, settings in TASK_SETTINGS.items():
        yield TASKS[name](**settings)
    file = folder / "prose.txt"
    file.write_text("".join(f"{k}: {PROSE}" for k in range(60)) + "§" + PROSE, encoding="utf-8")
    try:
        yield TASKS["text"]([file], batch=4, unroll=16, parts=(0.7, 0.15, 0.15))
    finally:
        file.unlink()


def scores_of(task: Task) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield what a network scores after some updates, and its weights."""
    loop = Loop(Network(recommended_network(task), seed=2), task, Settings(steps=1000, learning_rate=0.03))
    for updates in UPDATES:
        while loop.progress.step < updates:
            loop.update()
        predictor = partial(predict, loop.network)
        expected = dict(score=task.score(predictor).to_json(), validation=loop.validate()["validation_loss"])
        yield expected, save_torch(loop.network.state_dict())


def history(task: Task, seed: int) -> dict[str, Any]:
    """Return the records of a training of Python on the batches of the page."""
    settings = Settings.recommended(
        task, seed=seed, steps=HISTORY_UPDATES, validate_every=HISTORY_UPDATES // 2, batches="page"
    )
    if task.recommended.unroll is not None:
        settings = replace(settings, warmup=5)
    loop = Loop(Network(recommended_network(task), seed=seed), task, settings)
    records = [record for record in loop.records() if "loss" in record]
    changes = dict(steps=settings.steps, validateEvery=settings.validate_every, warmup=settings.warmup)
    return dict(task=task.name, seed=seed, changes=changes, records=records)


def gradients(name: str, cell: Cell, generator: torch.Generator) -> tuple[dict[str, Any], Arrays]:
    """Return a network with the gradients of its mean loss on a batch, by torch's autograd through the plain engine."""
    embedding, layers = SHAPES[name]
    vocabulary = Vocabulary(tuple("abcd\n"), end="\n")
    network = Network(Configuration(vocabulary, tuple(Layer(cell, **layer) for layer in layers), embedding))
    network = network.double()
    with torch.no_grad():
        for weights in network.state_dict().values():
            weights.copy_(torch.randn(weights.shape, generator=generator, dtype=torch.float64) * 0.5)
    rows = len(LENGTHS)
    tokens = torch.randint(0, SYMBOLS, (STEPS, rows), generator=generator)
    targets = torch.randint(-1, SYMBOLS, (STEPS, rows), generator=generator)
    inside = torch.arange(STEPS)[:, None] < torch.tensor(LENGTHS)
    tokens, targets = tokens.where(inside, -1), targets.where(inside, -1)
    output = network(tokens, lengths=torch.tensor(LENGTHS), engine="plain")
    loss = nn.functional.cross_entropy(output.logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum")
    (loss / int((targets >= 0).sum())).backward()
    case = f"{cell.name}/{name}"
    arrays: Arrays = {f"{case}/tokens": tokens.int().numpy(), f"{case}/targets": targets.int().numpy()}
    for weight, value in network.state_dict().items():
        arrays[f"{case}/weights/{weight}"] = value.numpy()
    for weight, parameter in network.named_parameters():
        gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        arrays[f"{case}/gradients/{weight}"] = gradient.numpy()
    return dict(case=case, network=network.configuration.to_json(), loss=float(loss.detach())), arrays


def adam(precision: torch.dtype, generator: torch.Generator) -> Arrays:
    """Return weights, the gradients of three updates, their norms, and the weights after each, by torch's optimizer."""
    weights = nn.Parameter(torch.randn(40, generator=generator, dtype=precision))
    optimizer = torch.optim.Adam([weights], fused=True)
    arrays: Arrays = {"start": weights.detach().numpy().copy()}
    for update in range(3):
        gradient = torch.randn(40, generator=generator, dtype=precision) * 10.0 ** (1 - 2 * update)
        arrays[f"gradient{update}"] = gradient.numpy().copy()
        weights.grad = gradient.clone()
        arrays[f"norm{update}"] = nn.utils.clip_grad_norm_([weights], CLIP).double().reshape(1).numpy()
        arrays[f"clipped{update}"] = weights.grad.numpy().copy()
        for group in optimizer.param_groups:
            group["lr"] = RATE / (update + 1)
        optimizer.step()
        arrays[f"after{update}"] = weights.detach().numpy().copy()
    return arrays


def rates(task: Task, **changes: Any) -> dict[str, Any]:
    """Return the learning rates of a recipe at some steps, and the steps below 3,000 after which it validates."""
    settings = Settings.recommended(task, **changes)
    assert settings.steps is not None
    steps = [0, 1, 7, 60, settings.steps // 2, settings.steps - 1]
    return dict(
        task=task.name,
        changes=changes,
        steps=steps,
        rates=[settings.rate(step, step / settings.steps) for step in steps],
        validates=[step for step in range(1, 3000) if settings.validates(step)],
    )


def write_training(folder: Path) -> None:
    """Write every bundle, and one file with all that is compared."""
    generator = torch.Generator().manual_seed(31)
    arrays: Arrays = {}
    index: dict[str, Any] = dict(
        bundles=[], gradients=[], rates=[], histories=[], lengths=LENGTHS, rate=RATE, clip=CLIP
    )
    for task in tasks(folder):
        scores = []
        for k, (expected, weights) in enumerate(scores_of(task)):
            arrays[f"{task.name}/weights{k}"] = np.frombuffer(weights, np.uint8)
            scores.append(expected)
        index["bundles"].append(dict(bundle=deepcopy(bundle(task)), scores=scores))
        index["histories"].append(history(task, seed=11))
        index["rates"] += [rates(task, **changes) for changes in RATE_CHANGES]
    for cell in (*CELLS.values(), own):
        for shape in SHAPES:
            case, values = gradients(shape, cell, generator)
            index["gradients"].append(case)
            arrays |= values
    for label, precision in (("float32", torch.float32), ("float64", torch.float64)):
        arrays |= {f"adam/{label}/{name}": value for name, value in adam(precision, generator).items()}
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    (folder / "training.bin").write_bytes(save(contiguous))
    (folder / "training.json").write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")
