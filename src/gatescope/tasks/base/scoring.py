"""The score of a string task as data: the strings to score on, and the rule that turns predictions into a score.

Another program, such as the page, then computes the score without knowing the task. Tasks describe their scores with
these classes; `gatescope.training.bundle` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

Rule = Literal["argmax", "possible"]
ShareOf = Literal["strings", "symbols"]


@dataclass(frozen=True)
class ScoredString:
    """A string that a network is scored on.

    Attributes:
        text: the string with its end mark.
        level: the number that grows with its difficulty: N, a gap, or the number of symbols.
        first: the first step whose prediction counts.
        weight: its weight in the mean divergence.
        scored: whether the share counts it; otherwise only the mean divergence does.
        codes: the number of the row of each step, written as the character 48 + number; empty for "argmax".
    """

    text: str
    level: int
    first: int = 0
    weight: float = 1.0
    scored: bool = True
    codes: str = ""


def columns(strings: Sequence[ScoredString]) -> dict[str, list[Any]]:
    """Return each field of strings as a list, which compresses better than objects; a field at its default is left out.

    Args:
        strings: the strings.
    """
    table = {field.name: [getattr(string, field.name) for string in strings] for field in fields(ScoredString)}
    defaults = {field.name: field.default for field in fields(ScoredString)}
    return {name: values for name, values in table.items() if any(value != defaults[name] for value in values)}


@dataclass(frozen=True)
class Row:
    """The predictions that are right after a symbol, for the rule "possible".

    Attributes:
        threshold: the smallest probability with which a symbol counts as possible.
        required: the ids of symbols that must be possible.
        forbidden: the ids of symbols that must not be possible.
        next_required: whether the symbol that comes next must be possible, too.
        likely: the true probability of each symbol; None if no drawn string begins like this.
    """

    threshold: float
    required: tuple[int, ...]
    forbidden: tuple[int, ...]
    next_required: bool
    likely: tuple[float, ...] | None


@dataclass(frozen=True)
class Scoring:
    """The rule of the score of a string task, and its strings.

    The share counts strings whose predictions are all right, or right predictions. Once all scored strings are right,
    the longer ones are tried. The first failure is the smallest level of a wrong string.

    Attributes:
        rule: "argmax": a prediction is right if the next symbol is the most probable one, the lowest id among equals;
            "possible": if the required symbols of its row are possible and the forbidden ones are not.
        share_of: what the share counts.
        chance: the share that the best guess reaches which knows only the present symbol.
        strings: the strings of the share.
        longer: further strings, by rising level.
        tried: the largest level; None: instead of a first failure, the longer strings have a share for each level.
        rows: the rows of the rule "possible".
        optimum: the best possible loss in nats per symbol; None if it is unknown.
    """

    rule: Rule
    share_of: ShareOf
    chance: float
    strings: Sequence[ScoredString]
    longer: Sequence[ScoredString]
    tried: int | None
    rows: Sequence[Row] = ()
    optimum: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return {
            **vars(self),
            "strings": columns(self.strings),
            "longer": columns(self.longer),
            "rows": [vars(row) for row in self.rows],
        }


@dataclass(frozen=True)
class TaskData:
    """The data of a task that another program can train and score on.

    Attributes:
        settings: the settings of the task.
        training: the strings or the text to train on.
        validation: the rule and the strings of the validation loss.
        score: the rule and the strings of the score.
        remembered: what a network must remember for the task, over some strings; None if nothing is known of it.
    """

    settings: Mapping[str, Any]
    training: Mapping[str, Any]
    validation: Mapping[str, Any]
    score: Mapping[str, Any]
    remembered: Mapping[str, Any] | None = None


def strings_as_data(strings: Sequence[str], weights: Sequence[float] | None = None) -> dict[str, Any]:
    """Return strings to train on as data.

    Args:
        strings: the strings with their end marks. Each symbol but the first is a target.
        weights: the probability of each string in a batch; None: all are equally probable.
    """
    return {
        "kind": "strings",
        "targets": "next",
        "strings": {"text": list(strings)},
        "weights": None if weights is None else list(weights),
    }
