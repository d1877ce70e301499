"""The runs that the tests of the page look at: small, and made in a few seconds."""

from pathlib import Path
from typing import Any

from gatescope import TASKS, Configuration, Settings, configure, create, train
from gatescope.tasks import Task
from gatescope.tasks.text import Text

POEM = '"床前明月光，\n\t疑是地上霜。"\n'
WIDE = 300  # neurons, more than fit on a screen


def train_examples(directory: Path) -> Path:
    """Train every example into `directory`, and give it back.

    counter: an LSTM that has learned to count. deep: two layers of a GRU. slstm: another cell with other signals.
    wide: many neurons. poem: Chinese characters, quotes, tabs and line ends. bytes: the same, read as bytes.
    broken: a run whose network.json is damaged.
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


def _train(path: Path, task: Task, configuration: Configuration | None = None, **settings: Any) -> None:
    train(create(path, task, configuration, Settings.recommended(task, **settings)))
