"""What Python draws, as JSON: fixtures for the tests of the engine in the browser.

python -m tests.reference.drawn        writes web/tests/engine/drawn/ again
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gatescope.generator import Generator

FIXTURES = Path(__file__).parents[2] / "web" / "tests" / "engine" / "drawn"
STREAMS = ((0, ""), (7, "sample"), (2**53 - 1, "layers.0.recurrent_weights.f"), (2**64 - 1, "é 月"))
LIMITS = (1, 6, 1000, 2**31 + 1, 3 * 2**30, 2**32)
COUNT = 13  # of numbers of each kind: several blocks, the last one in part


def numbers() -> list[dict[str, Any]]:
    """Return what each stream draws from its start, and the words beyond its block 2^32."""
    drawn = []
    for seed, name in STREAMS:
        far = Generator(seed, name)
        far.position = 4 * 2**32 - 3
        drawn.append(
            {
                "seed": str(seed),
                "name": name,
                "words": Generator(seed, name).words(COUNT).tolist(),
                "far": far.words(COUNT).tolist(),
                "uniforms": Generator(seed, name).uniforms(COUNT).tolist(),
                "normals": Generator(seed, name).normals(COUNT).tolist(),
                "permutation": Generator(seed, name).permutation(COUNT).tolist(),
                "below": [_below(Generator(seed, name), limit) for limit in LIMITS],
            }
        )
    return drawn


def _below(generator: Generator, limit: int) -> dict[str, Any]:
    return {"limit": limit, "numbers": generator.below(limit, COUNT).tolist(), "position": generator.position}


def fixtures() -> Iterator[tuple[str, Any]]:
    """Yield the name and the content of every fixture."""
    yield "numbers", numbers()


def write(folder: Path) -> None:
    """Write every fixture."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in fixtures():
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(FIXTURES)
