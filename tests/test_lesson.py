"""The lesson: each output shown below a block of Python equals the output of the block."""

import contextlib
import io
import re
from pathlib import Path

LESSON = Path(__file__).parent.parent / "docs" / "lesson.md"
PAIR = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_lesson_shows_the_output_of_its_code() -> None:
    pairs = PAIR.findall(LESSON.read_text(encoding="utf-8"))
    assert len(pairs) == 7
    names: dict[str, object] = {}
    for block, shown in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, LESSON.name, "exec"), names)  # noqa: S102 - our own document
        assert printed.getvalue() == shown
