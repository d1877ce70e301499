"""What a live file tells a stranger: every text, name and note in it, counted from the data that will be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gatescope.explorer.live.live_data import LiveRun, quotes_in


@dataclass(frozen=True)
class Texts:
    """Texts of one kind.

    Attributes:
        count: how many there are.
        characters: how long they are together.
    """

    count: int
    characters: int

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Count some texts."""
        lengths = [len(text) for text in texts]
        return cls(len(lengths), sum(lengths))


@dataclass(frozen=True)
class Disclosure:
    """What a live file holds of a run.

    Attributes:
        name: the name of the run.
        task: the title of its task.
        symbols: the vocabulary, or the names of the numbers.
        outputs: the names of the classes or of the predicted numbers.
        examples: the texts to look at.
        samples: the texts that the network wrote during training.
        passages: the excerpts of held-out text around the extreme values of neurons.
        mistakes: the held-out texts that the score quotes, because the network classifies them wrong.
        findings: the sentences of the views that somebody kept on the page, and their texts.
        notes: the notes of the run.
        tables: the names of the studies of all neurons.
        steps: the training steps of the weights, the best ones last.
    """

    name: str
    task: str
    symbols: tuple[str, ...]
    outputs: tuple[str, ...]
    examples: Texts
    samples: Texts
    passages: Texts
    mistakes: Texts
    findings: Texts
    notes: tuple[str, ...]
    tables: tuple[str, ...]
    steps: tuple[int, ...]

    @classmethod
    def of(cls, live: LiveRun) -> Disclosure:
        """Return what the file of a run holds.

        Args:
            live: the run, as it will be written.
        """
        run, studies = live.data["run"], live.data["studies"]
        details = (run["score"] or {}).get("details") or {}
        return cls(
            name=run["name"],
            task=run["task"]["title"],
            symbols=tuple(run["vocabulary"]),
            outputs=tuple(run["readout"]["names"]),
            examples=Texts.of(run["examples"]),
            samples=Texts.of(sample.get("text", "") for sample in run["samples"]),
            passages=Texts.of(text for study in studies for text in _passages(study["result"])),
            mistakes=Texts.of(text for detail in details.values() for text in quotes_in(detail)),
            findings=Texts.of(text for star in live.data["stars"] for text in _texts_of_star(star)),
            notes=tuple(run["notes"]),
            tables=tuple(study["request"]["study"] for study in studies if study["request"]["study"] != "neuron"),
            steps=(*run["checkpoints"], live.training_step),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)


def _texts_of_star(star: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentence of a finding and the text of its view."""
    yield star["sentence"]
    text = star["view"].get("text")
    if isinstance(text, str):
        yield text


def _passages(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the excerpts in the answer of a study of one neuron."""
    for end in ("most", "least"):
        for passage in result.get(end, ()):
            yield passage["text"]
