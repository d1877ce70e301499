"""What leaves the machine: no folder of it anywhere, no corpus text without consent, and nothing that is not listed."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gatescope import TASKS, Settings, configure, create_run, train
from gatescope.explorer.live import LiveFileError, LiveOptions, live_run, restore, write_live_file
from gatescope.explorer.live.disclosure import Disclosure
from gatescope.explorer.live.local_paths import LocalPaths
from gatescope.explorer.live.page_file import live_page
from gatescope.runs import HISTORY, SAMPLES, Run
from gatescope.runs.run_findings import add_finding
from gatescope.runs.tags import change_tags
from gatescope.studies.common.subjects import save
from gatescope.studies.common.table import Table
from gatescope.tasks import Adopted
from tests.explorer.live.examples import LINE, PROGRAM, SECRET, read_apart

PLANTED = (
    f"/srv/{SECRET}/corpora/notes.txt",
    f"~/{SECRET}/notes.txt",
    f"C:\\Users\\{SECRET}\\notes.txt",
    f"file:///srv/{SECRET}/notes.txt",
    f"\\\\server\\{SECRET}\\notes.txt",
)


def everything_in(page: bytes) -> bytes:
    """Return a live file with all its compressed blocks unpacked."""
    blocks = re.findall(rb'(?:"data":"|id="gatescope-[\w-]+">)([A-Za-z0-9+/=]{20,})', page)
    assert len(blocks) == 3
    contents = [base64.b64decode(block) for block in blocks]
    assert contents.count(PROGRAM.packed) == 1
    return page + b"".join(gzip.decompress(content) for content in contents if content != PROGRAM.packed)


def edit_json(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | fields), encoding="utf-8")


def test_no_path_leaves_the_machine(copy_of: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in the files and notes of the task, in the history and in tables, and the home of the user."""
    run = copy_of("text")
    monkeypatch.setenv("HOME", f"/home/{SECRET}")
    planted = [*PLANTED, f"/home/{SECRET}/gatescope/runs/text", str(run.path)]
    note = "; ".join(f"{path}: not UTF-8" for path in planted)
    edit_json(run.path / "task.json", paths=list(PLANTED), skipped=[note])
    for path in planted:
        score = {
            "value": 2.0,
            "chance": 3.0,
            "text": f"measured on {path}",
            "details": {path: [path]},
            "better": "lower",
        }
        run.append(HISTORY, {"step": 30, "event": "end", "reason": "failed", "problem": f"lost {path}", "score": score})
    columns = {name: name for name in ("layer", "neuron", "findings", "twin")}
    row = {"layer": "layer0", "neuron": 0, "findings": "ordinary", "twin": -1}
    save(run, "health", Table.of([row], columns, source=planted[0], files=planted, nested={"of": planted}))
    gates = {name: name for name in ("layer", "gate", "neuron", "left", "right")}
    save(run, "saturation", Table.of([{"layer": "layer0", "gate": "i", "neuron": 0, "left": 0.1, "right": 0.2}], gates))
    page = live_page(run.name, live_run(run, LiveOptions(checkpoints=2)).container().to_bytes(), PROGRAM)
    content = everything_in(page)
    assert SECRET.encode() not in content
    assert str(run.path.parent).encode() not in content
    assert b"notes.txt: not UTF-8" in content  # the file is named, without its folder
    assert b"measured on" in content
    assert b'"nested":{"of":["notes.txt"' in content  # the saved table is the one in the file


def test_real_files_of_a_task_do_not_leave(runs: Path) -> None:
    """The skipped file and the folder of the corpus stand in task.json; only their last names leave."""
    assert SECRET in (runs / "text" / "task.json").read_text(encoding="utf-8")
    live = live_run(Run(runs / "text"), LiveOptions())
    content = everything_in(live_page("text", live.container().to_bytes(), PROGRAM))
    assert SECRET.encode() not in content
    assert str(runs).encode() not in content


@pytest.mark.parametrize("name", ["opinion", "labels", "frames", "sum", "forecast", "counter"])
def test_no_folder_of_another_task_leaves(runs: Path, name: str) -> None:
    live = live_run(Run(runs / name), LiveOptions(checkpoints=1))
    assert str(runs).encode() not in everything_in(live_page(name, live.container().to_bytes(), PROGRAM))


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("/home/jane/a b.txt and /tmp/x/y.csv: bad", "a b.txt and y.csv: bad"),
        ("see https://arxiv.org/abs/1409.2329 and and/or 1/2", "see https://arxiv.org/abs/1409.2329 and and/or 1/2"),
        ("files: '/data/set/one.txt', \"/data/two.txt\"", "files: 'one.txt', \"two.txt\""),
        ("../up/notes.txt, ./here.txt and ~jane/x", "notes.txt, here.txt and x"),
        ("C:\\Users\\jane\\a.txt and D:/data/b.txt", "a.txt and b.txt"),
        ("a ratio of 3 / 4", "a ratio of 3 / 4"),
    ],
)
def test_sentence_keeps_names_and_loses_folders(sentence: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/jane")
    assert LocalPaths(["/home/jane/a b.txt"]).removed({"notes": [sentence]}) == {"notes": [expected]}


def test_without_text_no_line_of_the_corpus_leaves(copy_of: Callable[[str], Run]) -> None:
    run = copy_of("text")
    run.append(SAMPLES, {"step": 30, "temperature": 0.7, "text": LINE})
    shared = LINE[:12].encode()
    page = live_page("text", live_run(run, LiveOptions()).container().to_bytes(), PROGRAM)
    assert shared in everything_in(page)
    page = live_page("text", live_run(run, LiveOptions(text=False)).container().to_bytes(), PROGRAM)
    assert shared not in everything_in(page)
    (live,) = read_apart(page)[0]["runs"]
    assert live["run"]["examples"] == live["run"]["samples"] == live["features"] == live["targets"] == []
    assert live["run"]["example"] == ""
    assert {entry["request"]["study"] for entry in live["studies"]} <= {"labels", "ablation", "health"}


def test_without_text_no_line_of_an_adopted_run_leaves(copy_of: Callable[[str], Run]) -> None:
    """The text that was given with an adopted network is a person's, too."""
    run = copy_of("text")
    task = Adopted(run.configuration().vocabulary, f"/srv/{SECRET}/model.pt", LINE * 9)
    (run.path / "task.json").write_text(json.dumps({"format": 1, **task.to_json()}), encoding="utf-8")
    shared = LINE[:12].encode()
    for text in (True, False):
        page = live_page("text", live_run(run, LiveOptions(text=text)).container().to_bytes(), PROGRAM)
        assert (shared in everything_in(page)) is text
        assert SECRET.encode() not in everything_in(page)
        assert read_apart(page)[0]["runs"][0]["task"]["source"] == "model.pt"


@pytest.mark.parametrize("name", ["labels", "frames"])
def test_without_text_no_example_of_a_file_leaves(runs: Path, name: str) -> None:
    run = Run(runs / name)
    content = live_run(run, LiveOptions(text=False)).container().to_bytes()
    for example in run.task().examples():
        assert json.dumps(example)[1:-1].encode() not in content


def test_without_text_no_quoted_mistake_leaves(tmp_path: Path) -> None:
    """The score of a network that classifies texts quotes those that it gets wrong."""
    lines = [f"{LINE.split()[0]} word{k % 7} {SECRET}\t{'good' if k % 3 else 'bad'}" for k in range(120)]
    (tmp_path / "opinions.tsv").write_text("\n".join(lines), encoding="utf-8")
    task = TASKS["sentiment"]([tmp_path / "opinions.tsv"])
    configuration = configure(task.vocabulary, "lstm", [2], readout=task.readout)
    run = create_run(tmp_path / "opinions", task, configuration, Settings.recommended(task, steps=1))
    train(run)
    ends = [f"{k} {SECRET}".encode() for k in range(7)]  # not in the vocabulary, which has single words
    for text in (True, False):
        live = live_run(run, LiveOptions(text=text))
        content = live.container().to_bytes()
        assert any(end in content for end in ends) is text
        quoted = Disclosure.of(live).mistakes
        wrong = live.data["run"]["score"]["details"]["wrong"]
        assert (quoted.count, quoted.characters) == (len(wrong), sum(len(each["text"]) for each in wrong))
        assert (quoted.count > 0) is text


@pytest.mark.parametrize("name", ["counter", "sum", "opinion", "forecast"])
def test_without_text_generated_strings_stay(runs: Path, name: str) -> None:
    """Strings that every gatescope generates tell nothing about this machine."""
    run = Run(runs / name)
    assert live_run(run, LiveOptions(text=False)).data["run"]["examples"] == run.task().examples()


@pytest.mark.parametrize("name", ["counter", "text", "labels"])
def test_disclosure_counts_what_is_in_the_file(runs: Path, name: str) -> None:
    live = live_run(Run(runs / name), LiveOptions(checkpoints=2))
    disclosure = Disclosure.of(live)
    (run,) = read_apart(live_page(name, live.container().to_bytes(), PROGRAM))[0]["runs"]
    passages = re.findall(r'"text": "((?:[^"\\]|\\.)*)", "from"', json.dumps(run["studies"]))
    assert disclosure.passages.count == len(passages)
    assert disclosure.passages.characters == sum(len(json.loads(f'"{text}"')) for text in passages)
    assert disclosure.examples.count == len(run["run"]["examples"])
    assert disclosure.examples.characters == sum(map(len, run["run"]["examples"]))
    assert disclosure.samples.count == len(run["run"]["samples"])
    assert disclosure.notes == tuple(run["run"]["notes"])
    assert disclosure.symbols == tuple(run["network"]["vocabulary"]["symbols"])
    assert disclosure.steps[:-1] == tuple(run["run"]["checkpoints"])


def test_findings_leave_only_on_request(copy_of: Callable[[str], Run]) -> None:
    """Neither sentences, texts nor tags leave unasked; with findings, a corpus text may still be left out."""
    run = copy_of("text")
    add_finding(run.path, {"neuron": "1", "text": "a kept passage"}, "kept at /home/jane/notes.txt")
    change_tags(run.path, ["private tag"])
    words = (b"kept at", b"kept passage", b"private tag", b"/home/jane")
    expected = {(False, True): (), (True, True): words[:2], (True, False): words[:1], (False, False): ()}
    for (findings, text), leaving in expected.items():
        live = live_run(run, LiveOptions(findings=findings, text=text))
        content = everything_in(live_page("text", live.container().to_bytes(), PROGRAM))
        assert [word for word in words if word in content] == list(leaving)
        disclosed = Disclosure.of(live).findings
        assert disclosed.count == {(): 0, words[:1]: 1, words[:2]: 2}[leaving]
        assert live.data["run"]["stars"] == int(findings)


def test_exported_findings_come_back(copy_of: Callable[[str], Run], tmp_path: Path) -> None:
    run = copy_of("counter")
    kept = [
        add_finding(run.path, {"view": "neuron", "hold": ["0.4.f.0.1-"], "text": "aX"}, f"数 {k}") for k in range(2)
    ]
    file = tmp_path / "counter.html"
    write_live_file(live_run(run, LiveOptions(findings=True)), file)
    assert restore(file, tmp_path / "restored").findings() == kept
    write_live_file(live_run(run, LiveOptions()), file)
    assert restore(file, tmp_path / "without").findings() == []


@pytest.mark.parametrize("damage", [3, [3], [{"id": "x"}], [{}] * 300])
def test_damaged_findings_of_a_live_file_are_refused(
    copy_of: Callable[[str], Run], tmp_path: Path, damage: Any
) -> None:
    live = live_run(copy_of("counter"), LiveOptions())
    file = tmp_path / "counter.html"
    write_live_file(replace(live, data={**live.data, "stars": damage}), file)
    with pytest.raises(LiveFileError, match="damaged"):
        restore(file, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()
