"""The options of `gatescope train`, in three groups: the network, its data and its training."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gatescope.cli.app import ordered_group
from gatescope.cli.options import Flag
from gatescope.cli.usage import UsageError

NETWORK_GROUP = ordered_group("network")
DATA_GROUP = ordered_group("data")
TRAINING_GROUP = ordered_group("training")


@Parameter(name="*", group=NETWORK_GROUP)
@dataclass(frozen=True)
class NetworkOptions:
    """The network. These options are fixed when a run begins. The task recommends the defaults."""

    cell: str | None = None
    layers: int | None = None
    neurons: Annotated[str | None, Parameter(metavar="N[,N...]")] = None
    embedding: int | None = None
    dropout: float | None = None
    both_ways: bool | None = None


@Parameter(name="*", group=DATA_GROUP)
@dataclass(frozen=True)
class DataOptions:
    """The data. These options are fixed when a run begins. Each option applies to the tasks with this setting."""

    bytes: Flag = False
    unit: Literal["word", "token", "character"] | None = None
    test: Path | None = None
    validation: Path | None = None
    text: str | None = None
    label: str | None = None
    token: int | None = None
    labels: Path | None = None
    validation_labels: Path | None = None
    test_labels: Path | None = None
    parts: Annotated[str | None, Parameter(metavar="A,B,C")] = None
    names: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None
    columns: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None
    target: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None
    dates: str | None = None
    order: Literal["dates", "file"] | None = None
    date_order: Literal["dmy", "mdy", "ymd"] | None = None
    duplicates: Literal["first", "last", "mean"] | None = None
    decimal: str | None = None
    thousands: str | None = None
    window: int | None = None
    horizon: int | None = None
    season: int | None = None
    interval: float | None = None
    least: int | None = None
    most: int | None = None
    word_dropout: float | None = None
    skip_bad: Flag = False
    encoding: str | None = None
    merge_labels: Flag = False
    fill_missing: Flag = False
    batch: int | None = None
    unroll: int | None = None
    shortest: int | None = None
    longest: int | None = None
    stop: float | None = None
    targets: Literal["drawn", "allowed"] | None = None
    opens: float | None = None


@Parameter(name="*", group=TRAINING_GROUP)
@dataclass(frozen=True)
class TrainingOptions:
    """The training. The task recommends the defaults."""

    steps: int | None = None
    minutes: float | None = None
    optimizer: Literal["adam", "rmsprop", "sgd"] | None = None
    learning_rate: float | None = None
    schedule: Literal["cosine", "linear", "constant"] | None = None
    clip: float | None = None
    readout_decay: float | None = None
    patience: int | None = None
    until_solved: bool | None = None


def parse_sizes(text: str) -> list[int]:
    """Return the layer sizes that --neurons lists.

    Raises:
        UsageError: the option is not one positive whole number, or several.
    """
    if not re.fullmatch(r"[0-9]+(,[0-9]+)*", text) or not all(map(int, text.split(","))):
        raise UsageError("TRAIN_NEURONS_FORM", neurons=text)
    return [int(size) for size in text.split(",")]


def layer_sizes(network: NetworkOptions, recommended: tuple[int, ...]) -> tuple[int, ...]:
    """Return the number of neurons of each layer.

    Args:
        network: the options.
        recommended: the layer sizes that the task recommends.

    Raises:
        UsageError: --layers and --neurons contradict each other.
    """
    count = network.layers
    if count is not None and count < 1:
        raise UsageError("CLI_OPTION_TOO_SMALL", option="layers", count=count)
    if network.neurons is not None:
        sizes = parse_sizes(network.neurons)
    else:
        sizes = list(recommended) if count in (None, len(recommended)) else [recommended[0]]
    if len(sizes) == 1:
        sizes *= count or len(recommended)
    if count is not None and len(sizes) != count:
        raise UsageError("TRAIN_NEURONS_AND_LAYERS_DIFFER", neurons=network.neurons, sizes=len(sizes), layers=count)
    return tuple(sizes)
