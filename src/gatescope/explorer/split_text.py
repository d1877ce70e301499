"""A text as a network reads it: its steps and sequences, refused if there are too many."""

from __future__ import annotations

from dataclasses import dataclass

from gatescope.configuration import Configuration
from gatescope.errors import GatescopeError
from gatescope.explorer.memory import Memory
from gatescope.explorer.requests import RequestError
from gatescope.messages import Message
from gatescope.sources import parts_for

MAX_TEXT_STEPS = 20_000
BYTES_OF_CHARACTER = 400  # of a text while it is split into steps

_STEP_COUNTS = {
    "character": "EXPLORER_COUNT_OF_CHARACTERS",
    "byte": "EXPLORER_COUNT_OF_BYTES",
    "word": "EXPLORER_COUNT_OF_WORDS",
    "token": "EXPLORER_COUNT_OF_TOKENS",
    "number": "EXPLORER_COUNT_OF_LINES",
}


@dataclass(frozen=True)
class SplitText:
    """A text as a network reads it.

    Attributes:
        labels: what to print for each step.
        lengths: the number of steps of each sequence.
    """

    labels: list[str]
    lengths: list[int]

    @property
    def longest(self) -> int:
        """The number of steps of the longest sequence."""
        return max(self.lengths, default=0)


def split_text(memory: Memory, configuration: Configuration, text: str) -> SplitText:
    """Split a text into the steps and sequences that a network reads.

    Raises:
        RequestError: the text is too long, or does not hold the numbers that the network reads.
    """
    if configuration.vocabulary.unit in ("character", "byte"):
        check_length(configuration, len(text))
    too_large = Message("EXPLORER_CHARACTERS_TOO_MANY", characters=len(text))
    with memory.reserve(BYTES_OF_CHARACTER * len(text), too_large):
        try:
            parts = [configuration.vocabulary.labels(part) for part in parts_for(configuration, text)]
        except GatescopeError as error:
            raise RequestError(error.message) from error
        except ValueError as error:
            raise RequestError("EXPLORER_TEXT_UNREADABLE", reason=error) from error
        check_length(configuration, sum(map(len, parts)))
    return SplitText([label for part in parts for label in part], [len(part) for part in parts])


def check_length(configuration: Configuration, steps: int) -> None:
    """Refuse a text of more than MAX_TEXT_STEPS steps.

    Raises:
        RequestError: the text is longer.
    """
    if steps > MAX_TEXT_STEPS:
        raise RequestError(
            "EXPLORER_TEXT_TOO_LONG",
            status=413,
            steps=count_of_steps(configuration, steps),
            max_steps=count_of_steps(configuration, MAX_TEXT_STEPS),
        )


def count_of_steps(configuration: Configuration, steps: int) -> Message:
    """Return a number of steps with the noun of the network's unit, such as "20 characters"."""
    return Message(_STEP_COUNTS[configuration.vocabulary.unit], steps=steps)
