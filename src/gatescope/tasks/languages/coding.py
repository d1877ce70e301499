"""The score of a formal language as data: one row for each kind of place, and one character for each step.

Most places of a language are alike: after any b of aaabbb only one symbol may follow. So a string carries the number
of a row for each step, and the rows say which predictions are right there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from gatescope.tasks.base.scoring import Row, ScoredString, Scoring
from gatescope.tasks.languages.language import LanguageTask, requirements

FIRST_CODE = 48  # the character "0" stands for row 0


class Coder:
    """Codes the places of strings of one language, and collects the rows that occur.

    Args:
        language: the task.
    """

    def __init__(self, language: LanguageTask) -> None:
        self.language = language
        self._numbers: dict[bytes, int] = {}
        self._rows: list[Row] = []

    @property
    def rows(self) -> list[Row]:
        """The rows that the strings so far need."""
        return list(self._rows)

    def drawn(self, string: str, level: int, weight: float = 1.0, scored: bool = True) -> ScoredString:
        """Return a drawn string of a score. Its rows have the true probabilities, for the mean divergence."""
        return ScoredString(string, level, 0, weight, scored, self.codes(string))

    def longer(self, string: str, level: int) -> ScoredString:
        """Return a longer string of a score. Its rows have no probabilities, so there are few of them."""
        return ScoredString(string, level, codes=self.codes(string, with_likely=False))

    def codes(self, string: str, with_likely: bool = True) -> str:
        """Return the row of each symbol of a string but the end mark, as one character each."""
        places = self.language.places(string)
        needed = requirements(places, self.language.floor)
        following = self.language.vocabulary.encode(string)[1:]
        steps = np.arange(len(following))
        # Where no drawn string begins like this, the next symbol may be required. It is no part of the row, so that
        # strings with other next symbols share the row.
        next_required = ~places.drawn & needed.required[steps, following]
        required = needed.required.copy()
        required[steps[next_required], following[next_required]] = False
        known = places.drawn & with_likely
        likely = np.where(known[:, None], places.likely, np.nan)
        keys = np.concatenate([needed.threshold, required, needed.forbidden, next_required[:, None], likely], axis=1)
        codes = []
        for step, key in enumerate(keys):
            number = self._numbers.setdefault(key.tobytes(), len(self._rows))
            if number == len(self._rows):
                row = Row(
                    threshold=float(needed.threshold[step, 0]),
                    required=tuple(np.flatnonzero(required[step]).tolist()),
                    forbidden=tuple(np.flatnonzero(needed.forbidden[step]).tolist()),
                    next_required=bool(next_required[step]),
                    likely=tuple(places.likely[step].tolist()) if known[step] else None,
                )
                self._rows.append(row)
            codes.append(chr(FIRST_CODE + number))
        return "".join(codes)


def scoring_of_strings(
    language: LanguageTask, strings: Sequence[str], longer: Iterable[tuple[int, Sequence[str]]], tried: int
) -> Scoring:
    """Return the score of `gatescope.tasks.languages.walks.score_strings` as data.

    Args:
        language: the task.
        strings: the drawn strings of the share.
        longer: strings of each length, shortest first.
        tried: the largest length.
    """
    coder = Coder(language)
    # The longer strings come first: their rows, which most steps have, get ASCII characters.
    tried_strings = [coder.longer(string, length) for length, group in longer for string in group]
    scored = [coder.drawn(string, len(string) - 1) for string in strings]
    chance = language.chance(strings)
    return Scoring("possible", "strings", chance, scored, tried_strings, tried, coder.rows, language.optimum)
