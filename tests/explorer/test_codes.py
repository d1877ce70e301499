"""The codes that the server sends instead of English words: the page has a sentence for each of them."""

from __future__ import annotations

import ast
import json

from gatescope import CELLS
from gatescope.configuration import Layer
from gatescope.explorer.gallery import SIGNAL_MEANINGS, layer_json
from gatescope.messages import english
from tests.source_files import PACKAGE, trees

SENTENCES = json.loads((PACKAGE / "messages/en/page.json").read_text(encoding="utf-8"))


def _codes(folder: str, prefix: str) -> set[str]:
    """Return the codes with a prefix in the sources of a file or folder."""
    return {
        node.value.partition(":")[0]
        for path, tree in trees("src").items()
        if path.is_relative_to(PACKAGE / folder)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(prefix)
    }


def test_every_activity_of_a_job_is_a_sentence_of_the_page() -> None:
    assert _codes("explorer", "DOING_") == {code for code in SENTENCES if code.startswith("DOING_")}


def test_every_finding_of_health_is_a_sentence_of_the_page() -> None:
    """The words of the page are those of the table."""
    findings = _codes("studies/health.py", "HEALTH_") - {"HEALTH_CELL_WITHOUT_MEMORY", "HEALTH_SIGNALS_MISSING"}
    words = {code: english()[code] for code in findings - {"HEALTH_ORDINARY"}}
    assert len(words) == 9
    assert words == {code: SENTENCES.get(code) for code in words}


def test_every_finding_of_a_run_is_a_sentence_of_the_page() -> None:
    of_the_page = {"FINDING_OF_RUN", "FINDING_PICTURE"}  # names of controls, not findings
    codes = {code for code in SENTENCES if code.startswith("FINDING_")}
    assert _codes("explorer/findings", "FINDING_") == codes - of_the_page


def test_every_meaning_of_a_signal_is_a_sentence_of_the_page() -> None:
    codes = {code for code in SENTENCES if code.startswith("SIGNAL_")}
    assert {*SIGNAL_MEANINGS.values(), "SIGNAL_UPDATE_GATE"} == codes


def test_meaning_of_an_update_gate_depends_on_its_cell() -> None:
    meanings = {
        (name, signal["name"]): signal["meaning"]
        for name in ("lstm", "gru", "mingru")
        for signal in layer_json("layer0", Layer(CELLS[name], 2))["signals"]
    }
    assert meanings["lstm", "f"] == "SIGNAL_FORGET_GATE"
    assert meanings["gru", "z"] == "SIGNAL_UPDATE_GATE"
    assert meanings["mingru", "z"] == "SIGNAL_UPDATE_GATE_OTHER"
