"""Networks that are dropped on the page: the questions of `gatescope adopt`, until a run has a free name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from gatescope import Run, adopt
from gatescope.explorer import adoptions
from gatescope.explorer.adoption_questions import ANSWERS_OF
from gatescope.explorer.live import LiveOptions, live_run, write_live_file
from gatescope.messages import english
from gatescope.vocabulary import Vocabulary
from tests.explorer.page import PORT, Page

LETTERS = "abcdef\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def page(folder: Path) -> Page:
    return Page(folder)


def weights(tmp_path: Path, name: str = "model.pt", cell: str = "LSTM", outputs: int = 7) -> Path:
    """Write a language model of 7 letters: an embedding, a recurrent layer of 5 neurons and a readout."""
    torch.manual_seed(1)
    layers = {
        "embedding": torch.nn.Embedding(7, 4),
        "rnn": getattr(torch.nn, cell)(4, 5),
        "fc": torch.nn.Linear(5, outputs),
    }
    torch.save(
        {f"{part}.{key}": value for part, layer in layers.items() for key, value in layer.state_dict().items()},
        tmp_path / name,
    )
    return tmp_path / name


def send(page: Page, content: bytes, path: str = "/api/adopt", **more: Any) -> httpx.Response:
    headers = {
        "Origin": f"http://127.0.0.1:{PORT}",
        "X-Gatescope-Token": page.token.value,
        "Content-Type": "application/octet-stream",
        **more.pop("headers", {}),
    }
    return page.send("POST", path, headers=headers, content=content, params=more)


def questions_of(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    state = answer.json()
    assert (state["run"] is None) == bool(state["questions"])
    for question in state["questions"]:
        assert set(question) == {"error", "code", "values", "answers", "choices"}
        assert set(question["choices"]) <= set(question["answers"])
    return [question["code"] for question in state["questions"]]


def code_of(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return answer.json()["code"]


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_dropped_network_becomes_the_run_of_the_command(page: Page, folder: Path, tmp_path: Path) -> None:
    file = weights(tmp_path)
    first = send(page, file.read_bytes(), file="../../model.pt")
    assert questions_of(first) == ["ACT_ADOPT_SYMBOLS"]
    state = first.json()
    assert (state["file"], state["bytes"]) == ("model.pt", file.stat().st_size)
    (question,) = state["questions"]
    assert question["answers"] == ["vocabulary", "corpus", "inputs"]
    assert list(folder.iterdir()) == []
    symbols = json.dumps(list(LETTERS)).encode()
    done = send(page, symbols, f"/api/adopt/{state['id']}/file", answer="vocabulary", file="letters.json")
    assert questions_of(done) == []
    assert done.json()["run"] == "model"
    (tmp_path / "letters.json").write_bytes(symbols)
    expected = adopt(file, tmp_path / "expected", tmp_path / "letters.json").run
    for name in ("network.json", "task.json"):
        assert (folder / "model" / name).read_bytes() == (expected.path / name).read_bytes()
    (made, step), (wanted, _) = Run(folder / "model").network(), expected.network()
    assert step == 0
    for name, value in wanted.state_dict().items():
        assert torch.equal(made.state_dict()[name], value)
    assert leftovers(folder) == []
    assert code_of(page.act(f"/api/adopt/{state['id']}", {"answers": {}}), 404) == "ACT_ADOPT_UNKNOWN"


def test_second_network_gets_a_free_name(page: Page, folder: Path, tmp_path: Path) -> None:
    """Nothing is replaced, neither a run nor a file nor a link."""
    content = weights(tmp_path).read_bytes()
    (folder / "model").mkdir()
    (folder / "model-2").symlink_to("nowhere")
    (folder / "model-3").write_text("mine")
    upload = send(page, content, file="model.pt").json()["id"]
    done = send(page, LETTERS.encode(), f"/api/adopt/{upload}/file", answer="corpus", file="text.txt")
    assert done.json()["run"] == "model-4"
    assert list((folder / "model").iterdir()) == []
    assert (folder / "model-3").read_text() == "mine"


def test_questions_follow_until_all_are_answered(page: Page, folder: Path, tmp_path: Path) -> None:
    """A simple recurrent network of classes: its activation, its outputs, when it predicts, and their names."""
    first = send(page, weights(tmp_path, cell="RNN", outputs=3).read_bytes(), file="tags.pt")
    path = f"/api/adopt/{first.json()['id']}"
    answer = send(page, json.dumps(list(LETTERS)).encode(), f"{path}/file", answer="vocabulary", file="letters.json")
    codes: list[str] = []
    replies = {
        "TORCH_NONLINEARITY_MISSING": {"nonlinearity": "relu"},
        "FOREIGN_READOUT_MISSING": {"readout": "fc.weight"},
        "PREDICTS_UNKNOWN": {"predicts": "classes"},
        "READS_UNKNOWN": {"reads": "last step"},
        "FOREIGN_READOUT_NAMES_COUNT_DIFFERS": {"names": ["bad", "fair", "good"]},
    }
    while answer.json()["questions"]:
        (code,) = questions_of(answer)
        codes.append(code)
        (question,) = answer.json()["questions"]
        (name, value), *_ = replies[code].items()
        assert name in question["answers"]
        if name in question["choices"]:
            assert value in question["choices"][name]
        reply = replies[code] | ({"names": ["one"]} if code == "READS_UNKNOWN" else {})
        answer = page.act(path, {"answers": reply})
    assert codes[0] == "TORCH_NONLINEARITY_MISSING"
    assert codes[-3:] == ["PREDICTS_UNKNOWN", "READS_UNKNOWN", "FOREIGN_READOUT_NAMES_COUNT_DIFFERS"]
    readout = Run(folder / answer.json()["run"]).configuration().readout
    assert (readout.kind, readout.names, readout.reads) == ("classes", ("bad", "fair", "good"), "last step")


def test_answer_is_taken_back(page: Page, tmp_path: Path) -> None:
    upload = send(page, weights(tmp_path).read_bytes(), file="model.pt").json()["id"]
    path = f"/api/adopt/{upload}"
    assert questions_of(page.act(path, {"answers": {"inputs": "4"}})) != ["ACT_ADOPT_SYMBOLS"]
    assert questions_of(page.act(path, {"answers": {"inputs": None}})) == ["ACT_ADOPT_SYMBOLS"]
    assert questions_of(page.act(path, {"answers": {"vocabulary": "bytes"}})) == ["FOREIGN_VOCABULARY_SIZE_DIFFERS"]
    assert page.act(f"{path}/cancel").json() == {}
    assert code_of(page.act(path, {"answers": {}}), 404) == "ACT_ADOPT_UNKNOWN"


@pytest.mark.parametrize(
    ("answers", "status", "code"),
    [
        ({"vocabulary": "/etc/passwd"}, 400, "ACT_ADOPT_ANSWER"),
        ({"corpus": "/etc/passwd"}, 400, "ACT_ADOPT_FILE"),
        ({"text": "x"}, 400, "ACT_ADOPT_FILE"),
        ({"predicts": "everything"}, 400, "ACT_ADOPT_ANSWER"),
        ({"unknown_answer": "x"}, 400, "REQUEST_FIELD_UNKNOWN"),
        ({"layers": "rnn"}, 400, "REQUEST_FIELD_VALUE"),
        ({"inputs": "0"}, 409, "ACT_ADOPT_INPUTS"),
        ({"inputs": "9" * 5000}, 409, "ACT_ADOPT_INPUTS"),
        ({"inputs": "a,a"}, 409, "ACT_ADOPT_VOCABULARY"),
    ],
)
def test_impossible_answer_is_a_sentence(
    page: Page, folder: Path, tmp_path: Path, answers: Any, status: int, code: str
) -> None:
    """No answer names a file of this machine."""
    upload = send(page, weights(tmp_path).read_bytes(), file="model.pt").json()["id"]
    refused = page.act(f"/api/adopt/{upload}", {"answers": answers})
    assert refused.status_code == status
    assert refused.json()["code"] in (code, "VOCABULARY_SYMBOL_REPEATED")
    assert list(folder.iterdir()) == []


def test_live_file_is_adopted_without_questions(page: Page, folder: Path, tmp_path: Path) -> None:
    made = adopt(weights(tmp_path), tmp_path / "made", Vocabulary(tuple(LETTERS))).run
    write_live_file(live_run(made, LiveOptions()), tmp_path / "made.html")
    done = send(page, (tmp_path / "made.html").read_bytes(), file="my network.html")
    assert questions_of(done) == []
    assert done.json()["run"] == "my network"
    assert Run(folder / "my network").configuration() == made.configuration()


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x80\x02K\x01.", b"PK\x03\x04" + b"\0" * 50, b"\x89HDF\r\n\x1a\n", b"<html>"]
)
@pytest.mark.parametrize("file", ["model.pt", "model", "model.html", "model.safetensors", "model.onnx"])
def test_file_that_is_no_network_is_a_sentence(page: Page, folder: Path, content: bytes, file: str) -> None:
    answer = send(page, content, file=file)
    assert answer.status_code in (400, 409)
    assert "Unexpected" not in answer.json()["error"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\models\\a.pt", "a.pt"),
        ("..", "network"),
        ("", "network"),
        ("a\x00b\x1b.pt", "a_b_.pt"),
        (".hidden", "hidden"),
        ("数.pt", "数.pt"),
        ("x" * 300 + ".pt", "x" * 57 + ".pt"),
    ],
)
def test_name_of_a_dropped_file_has_no_folder(name: str, expected: str) -> None:
    assert adoptions.plain_name(name) == expected


@pytest.mark.parametrize(
    ("file", "expected"), [("a.pt", "a"), ("con.pt", "network"), ("-.pt", "network"), (".pt", "pt")]
)
def test_run_has_the_name_of_its_file(file: str, expected: str) -> None:
    assert adoptions.run_name(file) == expected


def test_upload_is_bounded_before_it_is_read(page: Page, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatescope.explorer.act_routes.MAX_NETWORK_BYTES", 1000)
    assert code_of(send(page, b"x" * 1001, file="a.pt"), 413) == "ACT_ADOPT_TOO_LARGE"
    assert code_of(send(page, b"x" * 9, file="a.pt", headers={"Content-Length": "1001"}), 413) == "ACT_ADOPT_TOO_LARGE"
    for length in ("8", "10"):
        answer = send(page, b"x" * 9, file="a.pt", headers={"Content-Length": length})
        assert code_of(answer, 400) == "ACT_ADOPT_CUT_SHORT"
    for length in ("-1", "1e3", "9" * 30, ""):
        assert code_of(send(page, b"x", headers={"Content-Length": length}), 411) == "ACT_ADOPT_LENGTH"
    assert code_of(send(page, b"x", headers={"Content-Type": "text/plain"}), 415) == "ACT_ADOPT_TYPE"
    monkeypatch.setattr(adoptions, "SPARE_BYTES", 1 << 60)
    assert code_of(send(page, b"x", file="a.pt"), 409) == "ACT_ADOPT_DISK_FULL"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("path", ["/api/adopt", "/api/adopt/0/file", "/api/adopt/0", "/api/adopt/0/cancel"])
def test_adoption_needs_the_token(page: Page, folder: Path, path: str) -> None:
    own = f"http://127.0.0.1:{PORT}"
    refused = {
        "ACT_TOKEN_MISSING": {"Origin": own},
        "ACT_TOKEN_WRONG": {"Origin": own, "X-Gatescope-Token": "x"},
        "ACT_ORIGIN_MISSING": {"X-Gatescope-Token": page.token.value},
        "EXPLORER_FOREIGN_PAGE": {"Origin": "http://evil.example", "X-Gatescope-Token": page.token.value},
    }
    for code, headers in refused.items():
        assert code_of(page.send("POST", path, headers=headers, content=b"x"), 403) == code
    assert page.get(path).status_code in (404, 405)


def test_only_the_newest_uploads_are_kept(page: Page, tmp_path: Path) -> None:
    content = weights(tmp_path).read_bytes()
    ids = [send(page, content, file="model.pt").json()["id"] for _ in range(adoptions.MAX_UPLOADS + 1)]
    assert code_of(page.act(f"/api/adopt/{ids[0]}", {"answers": {}}), 404) == "ACT_ADOPT_UNKNOWN"
    assert questions_of(page.act(f"/api/adopt/{ids[-1]}", {"answers": {}})) == ["ACT_ADOPT_SYMBOLS"]


def test_page_of_a_run_alone_adopts_nothing(tmp_path: Path) -> None:
    made = adopt(weights(tmp_path), tmp_path / "made", Vocabulary(tuple(LETTERS))).run
    assert code_of(send(Page(made.path), b"x", file="a.pt"), 409) == "ACT_NO_FOLDER"


def test_every_question_is_a_sentence_of_the_catalogue() -> None:
    assert set(ANSWERS_OF) <= set(english())
    assert {answer for answers in ANSWERS_OF.values() for answer in answers} <= set(adoptions.ANSWERS)
