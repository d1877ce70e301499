"""A run whose files a command reads once, however many functions ask for its parts."""

from __future__ import annotations

import os

from gatescope.configuration import Configuration
from gatescope.network import Network
from gatescope.runs import Run
from gatescope.tasks import Task


class OpenedRun(Run):
    """A run that remembers its configuration, its task and its last network.

    `weights_mark` reads the weights again at every call, because training may change them.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._configuration: Configuration | None = None
        self._task: Task | None = None
        self._network: tuple[int | None, tuple[Network, int]] | None = None

    def configuration(self) -> Configuration:
        """Return the network without its weights.

        Raises:
            RunError: network.json is missing, damaged or from a newer version.
        """
        if self._configuration is None:
            self._configuration = super().configuration()
        return self._configuration

    def task(self) -> Task:
        """Return the task of the network.

        Raises:
            RunError: task.json is missing or damaged.
        """
        if self._task is None:
            self._task = super().task()
        return self._task

    def network(self, checkpoint: int | None = None) -> tuple[Network, int]:
        """Return the network with its best weights or those of a checkpoint, and the step of the weights.

        Raises:
            RunError: there are no weights, or they are damaged or do not fit the configuration.
        """
        if self._network is None or self._network[0] != checkpoint:
            self._network = checkpoint, super().network(checkpoint)
        return self._network[1]
