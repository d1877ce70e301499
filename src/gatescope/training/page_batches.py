"""The batches of the playground, so that a training of the page can be repeated and continued.

Both draw the same sequences for the same seed: the strings and the text of the task's bundle, by the counter-based
generator. A batch depends on the seed and its number only. The twin of web/engine/training/batches.ts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gatescope.generator import Generator
from gatescope.tasks import Batch, Task, Text
from gatescope.tasks.base.strings import StringTask
from gatescope.training.settings import TrainingError


def page_batches(task: Task) -> Callable[[int, int], Batch]:
    """Return the function of a seed and a number that draws the batches of the page.

    Args:
        task: a memory task, a formal language or a text.

    Raises:
        TrainingError: the page does not train the task.
    """
    if isinstance(task, StringTask):
        return _of_strings(task)
    if isinstance(task, Text):
        return lambda seed, step: task.streams(step, lambda epoch, size: _place(seed, epoch, size))
    raise TrainingError("SETTINGS_BATCHES_UNSUPPORTED", task=getattr(task, "name", type(task).__name__))


def _of_strings(task: StringTask) -> Callable[[int, int], Batch]:
    data = task.training_data()
    strings = data["strings"]["text"]
    edges = None if data["weights"] is None else np.cumsum(data["weights"])

    def batch(seed: int, step: int) -> Batch:
        generator, count = Generator(seed, f"batch.{step}"), task.recommended.batch
        if edges is None:
            numbers = generator.below(len(strings), count)
        else:
            numbers = np.searchsorted(edges, generator.uniforms(count) * edges[-1], side="right")
        return task.rows([strings[k] for k in numbers.tolist()])

    return batch


def _place(seed: int, epoch: int, size: int) -> int:
    """Return the place of a text of `size` symbols at which an epoch begins."""
    return int(Generator(seed, f"epoch.{epoch}").below(size, 1)[0])
