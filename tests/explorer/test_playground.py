"""The files of the playground: the bundles of its tasks, its cells, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gatescope import CELLS, TASKS, Layer
from gatescope.explorer.gallery import layer_json
from gatescope.explorer.playground import PLAYGROUND_CELLS, PLAYGROUND_TASKS
from gatescope.training import bundle
from tests.explorer.page import Page

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("task", PLAYGROUND_TASKS)
def test_server_answers_with_the_bundle_of_a_task(task: str, tmp_path: Path) -> None:
    answer = Page(tmp_path).get(f"/bundles/{task}.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == bundle(TASKS[task]())


def test_index_describes_tasks_and_cells(tmp_path: Path) -> None:
    index = Page(tmp_path).get("/bundles/index.json").json()
    assert [task["name"] for task in index["tasks"]] == list(PLAYGROUND_TASKS)
    assert index["tasks"][0]["question"] == TASKS["counter"].question
    assert [cell["name"] for cell in index["cells"]] == list(PLAYGROUND_CELLS)
    for cell in index["cells"]:
        assert cell["network"] == CELLS[cell["name"]].to_json()
        assert cell["layer"] == layer_json("layer0", Layer(CELLS[cell["name"]], 1))


@pytest.mark.parametrize("name", ["counters", "..%2Findex", "addition", "INDEX"])
def test_unknown_bundle_is_refused(name: str, tmp_path: Path) -> None:
    answer = Page(tmp_path).get(f"/bundles/{name}.json")
    assert answer.status_code == 404
    if "%" not in name:
        refusal = answer.json()
        assert refusal["code"] == "EXPLORER_BUNDLE_UNKNOWN"
        assert refusal["error"] == (
            "Bundle: expected one of index, counter, selective_counter, state_memoriser, copy, "
            f"got '{name}'. Open the playground of this page."
        )


@pytest.mark.parametrize(("constant", "names"), [("CELL_NAMES", PLAYGROUND_CELLS), ("TASK_NAMES", PLAYGROUND_TASKS)])
def test_page_knows_the_cells_and_tasks(constant: str, names: tuple[str, ...]) -> None:
    """The page offers to train a run on before it has loaded the files of the playground."""
    source = (ROOT / "web/src/model/start-network.ts").read_text(encoding="utf-8")
    (listed,) = re.findall(rf"export const {constant} = \[(.*)\] as const", source)
    assert tuple(re.findall(r"'(\w+)'", listed)) == names
