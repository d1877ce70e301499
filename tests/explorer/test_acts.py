"""What the page writes: only by an explicit act with the token of this start, and never outside the folder of runs."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gatescope import TASKS, Run, Settings, configure, create_run, train
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.routes import make_app
from gatescope.runs.run_names import MAX_NAME_CHARACTERS
from tests.explorer.page import PORT, Page

OWN = f"http://127.0.0.1:{PORT}"
VIEW = {"view": "network", "layer": "layer0", "neuron": "4", "hold": ["0.4.f.0.12-", "0.1.c.0.3"], "text": "aaX\nb"}
ACTS: list[tuple[str, dict[str, Any]]] = [
    ("/api/runs/lstm/stars", {"act": "add", "view": VIEW, "sentence": "It counts."}),
    ("/api/runs/lstm/rename", {"name": "other"}),
    ("/api/runs/lstm/tags", {"add": ["x"]}),
    ("/api/runs/lstm/delete", {}),
    ("/api/trash/restore", {"id": "20260131T120000Z-00000000"}),
    ("/api/runs/lstm/study", {"study": "health", "start": True, "keep": True}),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    task = TASKS["counter"](batch=2)
    train(create_run(folder / "lstm", task, configure(task.vocabulary, "lstm", (4,)), Settings(2, validate_every=2)))
    return folder


def content_of(folder: Path) -> dict[str, bytes]:
    """Return file -> content of every file, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def code_of(response: httpx.Response, status: int) -> str:
    answer = response.json()
    assert response.status_code == status, response.text
    assert set(answer) == {"error", "code", "values"}
    assert answer["error"].endswith((".", "`"))
    return answer["code"]


# --- who may write ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "body"), ACTS)
def test_act_without_the_token_of_this_start_changes_nothing(page: Page, folder: Path, path: str, body: Any) -> None:
    before, token = content_of(folder), page.token.value
    refused: list[tuple[str, dict[str, str]]] = [
        ("ACT_ORIGIN_MISSING", {}),
        ("ACT_ORIGIN_MISSING", {"X-Gatescope-Token": token}),
        ("ACT_TOKEN_MISSING", {"Origin": OWN}),
        *(
            ("ACT_TOKEN_WRONG", {"Origin": OWN, "X-Gatescope-Token": wrong})
            for wrong in ("", "x", token[:-1], token + "x", Page(folder).token.value)
        ),
        *(
            ("EXPLORER_FOREIGN_PAGE", {"Origin": origin, "X-Gatescope-Token": token})
            for origin in ("http://evil.example", "null", f"https://127.0.0.1:{PORT}", f"http://127.0.0.1:{PORT + 1}")
        ),
    ]
    for code, headers in refused:
        assert code_of(page.send("POST", path, headers=headers, json=body), 403) == code
    headers = {"Origin": OWN, "X-Gatescope-Token": token}
    assert page.send("GET", path, headers=headers).status_code in (200, 404, 405)
    assert page.send("POST", path, host="evil.example", headers=headers, json=body).status_code == 403
    assert content_of(folder) == before


def test_token_is_read_by_the_own_page_alone(page: Page, folder: Path) -> None:
    answer = page.get("/api/token")
    assert answer.json() == {"token": page.token.value}
    assert "no-store" in answer.headers["cache-control"]
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert page.get("/api/token", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    for headers in (
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert code_of(page.get("/api/token", headers=headers), 403) == "EXPLORER_FOREIGN_PAGE"
    assert page.send("GET", "/api/token", host="evil.example").status_code == 403
    assert len({Page(folder).token.value for _ in range(20)}) == 20


def test_body_that_is_no_json_or_too_large_is_refused(page: Page, folder: Path) -> None:
    before = content_of(folder)
    headers = {"Origin": OWN, "X-Gatescope-Token": page.token.value, "Content-Type": "application/json"}
    path = "/api/runs/lstm/stars"
    assert code_of(page.send("POST", path, headers=headers, content=b"x" * (2 << 20)), 413) == "REQUEST_TOO_LARGE"
    assert code_of(page.send("POST", path, headers=headers, content=b"{"), 400) == "REQUEST_NOT_JSON"
    assert code_of(page.send("POST", path, headers=headers | {"Content-Type": "text/plain"}, content=b"{}"), 415)
    for body in (
        [],
        None,
        {},
        {"act": "erase"},
        {"act": []},
        {"act": "add"},
        {"act": "add", "view": {}, "sentence": 3},
    ):
        assert code_of(page.act(path, [] if body is None else body), 400).startswith("REQUEST_")
    assert content_of(folder) == before


def test_looking_at_a_run_changes_no_file(page: Page, folder: Path) -> None:
    """A study without `keep` stays in memory, also when its page is opened again."""
    before = content_of(folder)
    for path in ("", "/api/runs", "/api/runs/lstm", "/api/runs/lstm/stars", "/api/trash", "/api/token"):
        assert page.get(path).status_code == 200
    answer = {"state": "working"}
    while answer["state"] == "working":
        answer = page.send("POST", "/api/runs/lstm/study", json={"study": "health", "start": True}).json()
    assert answer["state"] == "done"
    assert content_of(folder) == before


# --- findings --------------------------------------------------------------------------------------------------------


def test_findings_are_kept_changed_moved_and_removed(page: Page, folder: Path) -> None:
    path = "/api/runs/lstm/stars"
    assert page.get(path).json() == {"stars": []}
    ids = [page.act(path, {"act": "add", "view": VIEW, "sentence": f" {k} "}).json()["id"] for k in range(3)]
    answer = page.act(path, {"act": "change", "id": ids[1], "sentence": "Neuron 4 zählt: 数."}).json()
    assert [entry["sentence"] for entry in answer["stars"]] == ["0", "Neuron 4 zählt: 数.", "2"]
    answer = page.act(path, {"act": "move", "id": ids[2], "position": 0}).json()
    assert [entry["id"] for entry in answer["stars"]] == [ids[2], ids[0], ids[1]]
    removed = page.act(path, {"act": "remove", "id": ids[0]}).json()
    assert [entry["id"] for entry in removed["stars"]] == [ids[2], ids[1]]
    restored = page.act(path, {"act": "restore", **removed["removed"]}).json()
    assert [entry["id"] for entry in restored["stars"]] == [ids[2], ids[0], ids[1]]
    # A second undo changes nothing.
    assert page.act(path, {"act": "restore", **removed["removed"]}).json() == restored
    assert page.get(path).json()["stars"] == restored["stars"]
    assert page.get("/api/runs").json()["runs"][0]["stars"] == 3
    findings = Run(folder / "lstm").findings()
    assert [finding.id for finding in findings] == [ids[2], ids[0], ids[1]]
    assert findings[0].view == {**VIEW, "hold": tuple(VIEW["hold"])}
    assert code_of(page.act(path, {"act": "remove", "id": "0" * 12}), 409) == "FINDING_UNKNOWN"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("sentence", "", "FINDING_SENTENCE"),
        ("sentence", " \t", "FINDING_SENTENCE"),
        ("sentence", "a\nb", "FINDING_SENTENCE"),
        ("sentence", "\x1b[2J", "FINDING_SENTENCE"),
        ("sentence", "\ud800", "FINDING_SENTENCE"),
        ("sentence", "x" * 501, "FINDING_SENTENCE"),
        ("view", {"run": "lstm"}, "FINDING_VIEW"),
        ("view", {"text": 3}, "FINDING_VIEW"),
        ("view", {"text": None}, "FINDING_VIEW"),
        ("view", {"": "x"}, "FINDING_VIEW"),
        ("view", {"a b": "x"}, "FINDING_VIEW"),
        ("view", {"__proto__": "x"}, "FINDING_VIEW"),
        ("view", {"text": "\ud800"}, "FINDING_VIEW"),
        ("view", {"text": "x" * 100_000}, "FINDING_VIEW"),
        ("view", {"hold": ["x"] * 101}, "FINDING_VIEW"),
        ("view", {f"a{'b' * (k % 9)}{'c' * (k // 9)}": "x" for k in range(41)}, "FINDING_VIEW"),
    ],
)
def test_finding_out_of_bounds_is_refused(page: Page, field: str, value: Any, code: str) -> None:
    body = {"act": "add", "view": VIEW, "sentence": "It counts.", field: value}
    assert code_of(page.act("/api/runs/lstm/stars", body), 409) == code
    assert page.get("/api/runs/lstm/stars").json() == {"stars": []}


def test_number_of_findings_is_bounded(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatescope.runs.run_findings.MAX_FINDINGS", 2)
    body = {"act": "add", "view": VIEW, "sentence": "It counts."}
    codes = [page.act("/api/runs/lstm/stars", body).json().get("code") for _ in range(3)]
    assert codes == [None, None, "FINDINGS_TOO_MANY"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"format": 1}',
        b'{"format": 2, "findings": []}',
        b'{"format": true, "findings": []}',
        b'{"format": 1, "findings": [3]}',
        b'{"format": 1, "findings": [{"id": "x", "view": {}, "sentence": "a", "created": "2026-01-31T12:00:00Z"}]}',
        b'{"format": 1, "findings": ' + b"[" * 100_000,
        b'{"format": 1, "findings": [' + b'{"view": {}},' * 300 + b"{}]}",
        b" " * (5 << 20),
    ],
)
def test_damaged_findings_are_a_sentence_and_stay(page: Page, folder: Path, content: bytes) -> None:
    """They hide neither the run nor its other files, and are never replaced."""
    (folder / "lstm" / "findings.json").write_bytes(content)
    assert code_of(page.get("/api/runs/lstm/stars"), 409)
    assert code_of(page.act("/api/runs/lstm/stars", {"act": "add", "view": {}, "sentence": "a"}), 409)
    (summary,) = page.get("/api/runs").json()["runs"]
    assert (summary["state"], summary["stars"]) == ("finished", 0)
    assert (folder / "lstm" / "findings.json").read_bytes() == content


def test_two_pages_keep_findings_at_once(folder: Path) -> None:
    """Neither loses what the other one writes, even with a server of its own."""
    pages = [Page(folder), Page(folder)]

    def keep(number: int) -> int:
        body = {"act": "add", "view": VIEW, "sentence": f"finding {number}"}
        return pages[number % 2].act("/api/runs/lstm/stars", body).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(keep, range(20))) == {200}
    sentences = {finding.sentence for finding in Run(folder / "lstm").findings()}
    assert sentences == {f"finding {k}" for k in range(20)}


# --- names and tags --------------------------------------------------------------------------------------------------


def test_renamed_run_is_the_same_run(page: Page, folder: Path) -> None:
    before = {file: bytes_ for file, bytes_ in content_of(folder / "lstm").items() if file != "training.lock"}
    assert page.act("/api/runs/lstm/rename", {"name": "zähler (数) 2"}).json() == {"name": "zähler (数) 2"}
    after = content_of(folder / "zähler (数) 2")
    assert {file: bytes_ for file, bytes_ in after.items() if file != "training.lock"} == before
    assert [run["name"] for run in page.get("/api/runs").json()["runs"]] == ["zähler (数) 2"]
    assert code_of(page.act("/api/runs/lstm/rename", {"name": "x"}), 404) == "EXPLORER_RUN_UNKNOWN"


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", ".hidden", "../escaped", "a/b", "/etc/x", "a\\b", "C:x", "a\x00b", "a\nb", "a\x1b[2Jb",
        "a\u202eb", "a\ufeffb", "\ud800", " a", "a ", "a.", "-rf", "~root", "a*", "a?b", "con", "NUL.txt", "com1",
        "x" * 101, "数" * 70, "a\u2028b", "a\u00a0b", "<b>", "a|b", 'a"b',
    ],
)  # fmt: skip
def test_odd_name_is_refused(page: Page, folder: Path, name: str) -> None:
    before = content_of(folder.parent)
    assert code_of(page.act("/api/runs/lstm/rename", {"name": name}), 409).startswith("RUN_NAME_")
    assert content_of(folder.parent) == before


def test_longest_name_is_taken(page: Page) -> None:
    assert page.act("/api/runs/lstm/rename", {"name": "x" * MAX_NAME_CHARACTERS}).status_code == 200


def test_name_that_exists_is_refused(page: Page, folder: Path) -> None:
    shutil.copytree(folder / "lstm", folder / "other")
    (folder / "notes.txt").write_text("mine")
    (folder / "empty").mkdir()
    (folder / "dangling").symlink_to("nowhere")
    before = content_of(folder)
    for name in ("other", "notes.txt", "empty", "dangling"):
        assert code_of(page.act("/api/runs/lstm/rename", {"name": name}), 409) == "RUN_NAME_TAKEN"
    assert content_of(folder) == before


def test_tags_are_added_and_removed(page: Page, folder: Path) -> None:
    path = "/api/runs/lstm/tags"
    assert page.act(path, {"add": [" good ", "数", "good"]}).json() == {"tags": ["good", "数"]}
    assert page.act(path, {"add": ["new"], "remove": ["good", "absent"]}).json() == {"tags": ["数", "new"]}
    assert page.get("/api/runs").json()["runs"][0]["tags"] == ["数", "new"]
    assert Run(folder / "lstm").tags() == ["数", "new"]
    for bad in ("", "a,b", "a\nb", "\u202e", "x" * 41):
        assert code_of(page.act(path, {"add": [bad]}), 409) == "TAG_INVALID"
    assert code_of(page.act(path, {"add": [str(k) for k in range(20)]}), 409) == "TAGS_TOO_MANY"
    (folder / "lstm" / "tags.json").write_text('{"format": 1, "tags": [3]}')
    assert code_of(page.act(path, {"add": ["x"]}), 409) == "RUN_EDITS_DAMAGED"
    assert page.get("/api/runs").json()["runs"][0]["tags"] == []


# --- what is confined ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["..%2Flstm", "%2e%2e", ".trash", "lstm%2F..%2Flstm", "lstm%00", "nothing", "%2Fetc"])
@pytest.mark.parametrize("act", ["stars", "rename", "tags", "delete"])
def test_run_of_an_act_is_never_joined_to_a_path(page: Page, folder: Path, name: str, act: str) -> None:
    before = content_of(folder.parent)
    assert page.act(f"/api/runs/{name}/{act}", {"name": "x"}).status_code in (404, 405)
    assert content_of(folder.parent) == before


def test_linked_run_is_refused(folder: Path, tmp_path: Path) -> None:
    elsewhere = Path(shutil.move(folder / "lstm", tmp_path / "elsewhere"))
    (folder / "lstm").symlink_to(elsewhere)
    page, before = Page(folder), content_of(elsewhere)
    for path, body in ACTS[:4]:
        # It is listed by the name of its directory.
        assert code_of(page.act(path.replace("lstm", "elsewhere"), body), 409) == "RUN_IS_LINK"
    assert content_of(elsewhere) == before
    assert (folder / "lstm").is_symlink()


def test_run_alone_is_not_moved_but_keeps_findings(folder: Path) -> None:
    """Its folder was not given to the explorer."""
    page = Page(folder / "lstm")
    assert code_of(page.act("/api/runs/lstm/rename", {"name": "x"}), 409) == "ACT_RUN_ALONE"
    assert code_of(page.act("/api/runs/lstm/delete"), 409) == "ACT_RUN_ALONE"
    assert page.act(*ACTS[0]).status_code == 200
    assert sorted(entry.name for entry in folder.iterdir()) == ["lstm"]


def test_copy_of_a_live_file_is_not_written(folder: Path) -> None:
    page = Page(folder)
    page.app = make_app(Gallery([folder], copies=folder.parent), PORT, None, page.token)
    before = content_of(folder)
    for path, body in (*ACTS[:4], ACTS[5]):
        assert code_of(page.act(path, body), 409) == "ACT_RUN_IS_COPY"
    assert content_of(folder) == before


@pytest.mark.parametrize("file", ["findings.json", "tags.json", "edits.lock"])
def test_pipe_in_place_of_a_file_is_a_sentence(page: Page, folder: Path, file: str) -> None:
    os.mkfifo(folder / "lstm" / file)
    path, body = ACTS[2] if file == "tags.json" else ACTS[0]
    assert code_of(page.act(path, body), 409)


def test_link_in_place_of_findings_is_not_followed(page: Page, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"format": 1, "findings": []}')
    (folder / "lstm" / "findings.json").symlink_to(secret)
    assert code_of(page.get("/api/runs/lstm/stars"), 409) == "FILE_OUTSIDE"
    assert code_of(page.act(*ACTS[0]), 409) == "FILE_OUTSIDE"
    assert json.loads(secret.read_text()) == {"format": 1, "findings": []}
