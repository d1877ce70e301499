"""What Python makes of experiments of the playground: networks, and pasted texts as tasks."""

import json
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gatescope import TASKS, configure
from gatescope.explorer.playground import INDEX, PLAYGROUND_CELLS, PLAYGROUND_TASKS, playground_file
from gatescope.training import bundle

SIZES = ((1, 1), (10, 1), (3, 2), (128, 4))  # neurons and layers
PROSE = "It was the best of times, it was the worst of times; «§» 时 𝄞\n"
LENGTHS = (60, 61, 105, 190, 1000, 2345, 20_001)


def write_playground(folder: Path) -> None:
    """Write the files of the playground, the networks of some experiments, and some texts with their bundles."""
    networks = []
    for (neurons, layers), cell, name in product(SIZES, PLAYGROUND_CELLS, PLAYGROUND_TASKS):
        network = configure(TASKS[name]().vocabulary, cell, [neurons] * layers).to_json()
        networks.append(dict(cell=cell, neurons=neurons, layers=layers, task=name, forget=None, network=network))
    for cell, forget in product(("lstm", "peephole"), (0, -1.5, 1, 3)):
        network = configure(TASKS["counter"]().vocabulary, f"{cell}:f={forget}", [3, 3]).to_json()
        networks.append(dict(cell=cell, neurons=3, layers=2, task="counter", forget=forget, network=network))
    document = dict(
        index=json.loads(playground_file(INDEX)),
        bundles={name: json.loads(playground_file(name)) for name in PLAYGROUND_TASKS},
        networks=networks,
        texts=[dict(length=length, **_text(length)) for length in LENGTHS],
    )
    (folder / "playground.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def _text(length: int) -> dict[str, Any]:
    text = "".join(f"{k}: {PROSE}" for k in range(length // len(PROSE) + 1))[:length]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pasted.txt"
        file.write_text(text, encoding="utf-8")
        return dict(text=text, bundle=bundle(TASKS["text"]([file])))
