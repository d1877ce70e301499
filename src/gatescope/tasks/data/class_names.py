"""Labels of a file as classes: their order, their spellings, and labels that cannot be learned.

Names that differ may be one class: 1 and 1.0, Positive and positive, "pos" with and without a space.
"""

from __future__ import annotations

import math
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gatescope.errors import setting
from gatescope.messages import Message
from gatescope.tasks.data.tables import Fault, refuse, shown

MAX_LISTED_GROUPS = 5
MANY_CLASSES = 20  # more classes than this need two examples each, on average


def key_of(name: str) -> float | str:
    """Return the key that all spellings of a class share: its number, or else its name without capitals.

    Args:
        name: a label of a file. Full-width letters, invisible characters and white space make no difference.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    plain = " ".join(plain.split()).casefold()
    try:
        number = float(plain) if "_" not in plain else math.nan
    except ValueError:
        number = math.nan
    return number + 0.0 if math.isfinite(number) else plain  # -0.0 and 0.0 are one number


def spellings(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the most frequent spelling of the class of each name; among equals, the first by code points.

    Args:
        counts: label -> how often it occurs.
    """
    best: dict[float | str, str] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        best.setdefault(key_of(name), name)
    return {name: best[key_of(name)] for name in counts}


def known_spelling(name: str, classes: Iterable[str]) -> str | None:
    """Return the class that a label is a spelling of; None: it is none of the classes."""
    names = list(classes)
    if name in names:
        return name
    key = key_of(name)
    return next((known for known in names if key_of(known) == key), None)


def note_of_spellings(counts: Counter[str]) -> list[str]:
    """Return a sentence about names that may be one class; an empty list if there are none.

    Args:
        counts: label -> how often it occurs in the training files.
    """
    names_of_key: dict[float | str, list[str]] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        names_of_key.setdefault(key_of(name), []).append(name)
    alike = [names for names in names_of_key.values() if len(names) > 1]
    if not alike:
        return []
    listed = [
        " and ".join(str(Message("CLASSES_SPELLING", label=shown(name), count=counts[name])) for name in names)
        for names in alike[:MAX_LISTED_GROUPS]
    ]
    groups: str | Message = "; ".join(listed)
    if len(alike) > MAX_LISTED_GROUPS:
        groups = Message("CLASSES_MORE_GROUPS", groups=groups, count=len(alike) - MAX_LISTED_GROUPS)
    return [str(Message("CLASSES_ALIKE", groups=groups, setting=setting("merge_labels")))]


def label_problem(name: str, classes: Sequence[str] | None, merged: bool) -> Message | None:
    """Return the problem of a label that is not among the classes; None if there is none.

    Args:
        name: the label.
        classes: the labels that may occur; None: any label.
        merged: whether other spellings of a class are that class.
    """
    if classes is None or name in classes:
        return None
    known = known_spelling(name, classes)
    if known is None:
        return Message("FAULT_LABEL_UNKNOWN", classes=", ".join(classes), label=shown(name))
    if merged:
        return None
    return Message("FAULT_LABEL_SPELLING", known=shown(known), label=shown(name), setting=setting("merge_labels"))


def unified_labels(names: list[str], classes: Sequence[str] | None, merged: bool) -> list[str]:
    """Return the labels with one spelling for each class: the most frequent one, or that of the known classes.

    Args:
        names: the labels.
        classes: the known classes; None: those that occur.
        merged: whether spellings of a class are that class; otherwise the labels stay as they are.
    """
    if not merged:
        return names
    if classes is None:
        spelling = spellings(Counter(names))
    else:
        spelling = {name: known_spelling(name, classes) or name for name in set(names)}
    return [spelling[name] for name in names]


def check_labels(
    path: str | os.PathLike[str],
    faults: list[Fault],
    skip_bad: bool,
    names: Iterable[str],
    classes: Sequence[str] | None,
) -> tuple[str, ...]:
    """Check that the labels of a file can be learned, and return its skipped lines, each with the reason.

    Args:
        path: the file.
        faults: the wrong lines.
        skip_bad: whether wrong lines are left out.
        names: the labels of the other lines.
        classes: the classes of the training part; None: this is the training part.

    Raises:
        TaskError: lines are wrong and may not be skipped, or the labels cannot be learned.
    """
    counts = Counter(names)
    serious: list[Fault] = []
    if not counts:
        serious.append(Fault(None, Message("FAULT_LABELS_NONE")))
    elif classes is None and len(counts) == 1:
        serious.append(Fault(None, Message("FAULT_LABELS_EQUAL", label=shown(next(iter(counts))))))
    elif classes is None and len(counts) > max(MANY_CLASSES, counts.total() // 2):
        problem = Message(
            "FAULT_LABELS_DIFFER", different=len(counts), count=counts.total(), setting=setting("label", None)
        )
        serious.append(Fault(None, problem))
    if serious or (faults and not skip_bad):
        refuse(path, faults + serious, can_skip=True)
    return tuple(map(str, sorted(faults, key=lambda fault: fault.line or 0)))


def sorted_classes(names: set[str]) -> tuple[str, ...]:
    """Return classes in numerical order if all are numbers, else in alphabetical order."""
    try:
        numbers = {name: float(name) for name in names}
    except ValueError:
        return tuple(sorted(names))
    if not all(map(math.isfinite, numbers.values())):
        return tuple(sorted(names))
    return tuple(sorted(names, key=lambda name: (numbers[name], name)))
