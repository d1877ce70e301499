"""The options of `gatescope train`, in three groups: the network, its data and its training."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from gatescope.cli.options import Flag
from gatescope.cli.usage import UsageError

NETWORK_GROUP = Group.create_ordered("Network")
DATA_GROUP = Group.create_ordered("Data")
TRAINING_GROUP = Group.create_ordered("Training")


@Parameter(name="*", group=NETWORK_GROUP)
@dataclass(frozen=True)
class NetworkOptions:
    """The network. These options are fixed when a run begins. The task recommends the defaults."""

    cell: str | None = None
    """Cell of every layer, one of `gatescope cells`. lstm:f=3 sets initial biases. Most tasks recommend lstm."""
    layers: int | None = None
    """Number of recurrent layers. Every task but copy recommends 1."""
    neurons: Annotated[str | None, Parameter(metavar="N[,N...]")] = None
    """Number of neurons in every layer, or in each layer from the input upwards, as in 20,10."""
    embedding: int | None = None
    """Size of the learned embedding. Defaults to one-hot inputs."""
    dropout: float | None = None
    """Dropout probability of the inputs of each layer and of the readout, in [0, 1)."""
    both_ways: bool | None = None
    """Make every layer bidirectional."""


@Parameter(name="*", group=DATA_GROUP)
@dataclass(frozen=True)
class DataOptions:
    """The data. These options are fixed when a run begins. Each option applies to the tasks with this setting."""

    bytes: Flag = False
    """Read a text as UTF-8 bytes instead of characters."""
    unit: Literal["word", "token", "character"] | None = None
    """Input unit of texts with classes: words and punctuation marks, tokens between white space, or characters."""
    test: Path | None = None
    """Test file. Defaults to a part of the data."""
    validation: Path | None = None
    """Validation file, which selects the best weights. Defaults to a part of the data."""
    text: str | None = None
    """Column of the texts, by name or number."""
    label: str | None = None
    """Column of the labels, by name or number."""
    token: int | None = None
    """Column of the tokens, by number."""
    labels: Path | None = None
    """File of the labels of frames, one label per line."""
    validation_labels: Path | None = None
    """File of the labels of the validation frames."""
    test_labels: Path | None = None
    """File of the labels of the test frames."""
    parts: Annotated[str | None, Parameter(metavar="A,B,C")] = None
    """Shares of the data for training, validation and test, as in 0.8,0.1,0.1."""
    names: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None
    """Names of the numbers of a frame."""
    columns: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None
    """Columns of numbers to read."""
    target: Annotated[str | None, Parameter(metavar="NAME[,NAME...]")] = None
    """Columns to predict."""
    dates: str | None = None
    """Column of the dates or names of the steps of a series, by name or number."""
    order: Literal["dates", "file"] | None = None
    """Order of a series: by its dates (the default) or as in the file."""
    date_order: Literal["dmy", "mdy", "ymd"] | None = None
    """Order of day, month and year: dmy for 31/12/2020, mdy for 12/31/2020."""
    duplicates: Literal["first", "last", "mean"] | None = None
    """Row to use if several rows of a series have the same date. Without this option, rows that differ are refused."""
    decimal: str | None = None
    """Decimal mark of numbers: a point or a comma."""
    thousands: str | None = None
    """Thousands separator of numbers, such as a comma, a point or a space."""
    window: int | None = None
    """Number of steps of a series in a row of a batch. Defaults to 96, and to less for short series."""
    horizon: int | None = None
    """Number of steps to forecast."""
    season: int | None = None
    """Number of steps in a season; 1 for no season. Defaults to a season found from the dates or the numbers."""
    interval: float | None = None
    """Share of the values that a prediction interval should hold, between 0 and 1."""
    least: int | None = None
    """Minimum count of a word in the vocabulary."""
    most: int | None = None
    """Maximum number of words in the vocabulary."""
    word_dropout: float | None = None
    """Probability of reading a word as unknown during training."""
    skip_bad: Flag = False
    """Leave out bad rows of a file instead of refusing the file."""
    encoding: str | None = None
    """Encoding of the files, such as cp1252, gb18030 or shift_jis. Defaults to UTF-8."""
    merge_labels: Flag = False
    """Merge labels that differ in spelling only, such as 1 and 1.0 or Good and good."""
    fill_missing: Flag = False
    """Replace a missing value, and the values of a missing date, by the value before."""
    batch: int | None = None
    """Number of sequences in a batch."""
    unroll: int | None = None
    """Number of steps between weight updates on a text. Gradients are truncated at this length."""
    shortest: int | None = None
    """Length of the shortest string (in some tasks, the smallest count in a string)."""
    longest: int | None = None
    """Length of the longest string (in some tasks, the largest count in it), or maximum number of steps of a text."""
    stop: float | None = None
    """Probability of ending a string at each step."""
    targets: Literal["drawn", "allowed"] | None = None
    """Targets of a^n b^n and a^n b^n c^n: the drawn symbol, or every allowed symbol."""
    opens: float | None = None
    """Probability of an opening bracket."""


@Parameter(name="*", group=TRAINING_GROUP)
@dataclass(frozen=True)
class TrainingOptions:
    """The training. The task recommends the defaults."""

    steps: int | None = None
    """Maximum number of weight updates, including those already made."""
    minutes: float | None = None
    """Total training time in minutes, instead of --steps."""
    optimizer: Literal["adam", "rmsprop", "sgd"] | None = None
    """Optimizer."""
    learning_rate: float | None = None
    """Peak learning rate."""
    schedule: Literal["cosine", "linear", "constant"] | None = None
    """Schedule of the learning rate."""
    clip: float | None = None
    """Maximum norm of the gradient."""
    readout_decay: float | None = None
    """Weight decay of the readout, as a fraction of the learning rate."""
    patience: int | None = None
    """Stop after this number of validations without a better loss."""
    until_solved: bool | None = None
    """Stop as soon as the task is solved."""


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
