"""The runs that the tests of the page show: small ones that train in a few seconds."""

from pathlib import Path
from typing import Any

import numpy as np

from gatescope import TASKS, Configuration, Settings, configure, create_run, train
from gatescope.tasks import Task
from gatescope.tasks.text import Text

POEM = '"床前明月光，\n\t疑是地上霜。"\n'
WIDE = 300  # neurons, more than fit on a screen
FRAME = 9  # numbers of a frame, more than are drawn as curves
HORIZON = 6  # steps that are forecast


def train_examples(directory: Path) -> Path:
    """Train every example in `directory`, and return it.

    counter: an LSTM that has learned to count. deep: two layers of a GRU. slstm: another cell with other signals.
    wide: many neurons. poem: Chinese characters, quotes, tabs and line ends. bytes: the same, read as bytes.
    broken: a run with a damaged network.json.
    """
    poem = directory / "poem.txt"
    poem.write_text(POEM * 120, encoding="utf-8")
    counter, copy, text, read_as_bytes = TASKS["counter"](), TASKS["copy"](), Text([poem]), Text([poem], bytes=True)
    _train(directory / "counter", counter)
    _train(directory / "deep", copy, configure(copy.vocabulary, "gru", [8, 6]), steps=1)
    _train(directory / "slstm", counter, configure(counter.vocabulary, "slstm", [7]), steps=1)
    _train(directory / "wide", copy, configure(copy.vocabulary, "lstm", [WIDE]), steps=1)
    _train(directory / "poem", text, configure(text.vocabulary, "lstm", [24]), steps=100)
    _train(directory / "bytes", read_as_bytes, configure(read_as_bytes.vocabulary, "lstm", [12]), steps=5)
    (directory / "broken").mkdir()
    (directory / "broken" / "network.json").write_text("{")
    return directory


NOUNS, VERBS = ("cat", "dog", "bird", "sea", "boat", "girl", "horse", "fox"), ("sees", "runs", "likes", "eats", "hears")


def tagged() -> str:
    """Return different sentences, one token with its label on each line."""
    sentences = [
        [(word, "DET"), (subject, "NOUN"), (verb, "VERB"), ("the", "DET"), (other, "NOUN")]
        for word in ("the", "a")
        for subject in NOUNS
        for verb in VERBS
        for other in NOUNS[:3]
    ]
    return "".join("".join(f"{token}\t{label}\n" for token, label in sentence) + "\n" for sentence in sentences)


def train_kinds(directory: Path) -> Path:
    """Train a network for every kind of input and readout in `directory`, and return it.

    opinion: words, one class at the end. labels: tokens in both directions, a class for each. frames: more numbers than
    are drawn as curves, a class for each. sum: numbers, one number at the end. forecast: a series, quantiles of the
    next steps.
    """
    words = directory / "words.tsv"
    words.write_text(tagged(), encoding="utf-8")
    random = np.random.default_rng(1)
    frames = random.normal(size=(400, FRAME)).astype(np.float32)
    np.save(directory / "frames.npy", frames)
    named = ("low" if value < 0 else "high" for value in frames[:, 0])
    (directory / "frames.txt").write_text("\n".join(named) + "\n", encoding="utf-8")
    opinion, tokens, frame = TASKS["sentiment"](), TASKS["tagging"]([words]), TASKS["tagging"](directory / "frames.npy")
    total, forecast = TASKS["addition"](shortest=6, longest=9), TASKS["forecasting"](horizon=HORIZON, window=48)
    small = {"embedding": 5, "readout": tokens.readout, "both_ways": True}
    _train(
        directory / "opinion", opinion, configure(opinion.vocabulary, "lstm", [8], readout=opinion.readout), steps=60
    )
    _train(directory / "labels", tokens, configure(tokens.vocabulary, "lstm", [6, 5], **small), steps=40)
    _train(directory / "frames", frame, configure(frame.vocabulary, "gru", [6], readout=frame.readout), steps=20)
    _train(directory / "sum", total, configure(total.vocabulary, "gru", [7], readout=total.readout), steps=20)
    _train(
        directory / "forecast",
        forecast,
        configure(forecast.vocabulary, "lstm", [8], readout=forecast.readout),
        steps=60,
    )
    return directory


def _train(path: Path, task: Task, configuration: Configuration | None = None, **settings: Any) -> None:
    train(create_run(path, task, configuration, Settings.recommended(task, **settings)))
