"""Studies of a run over HTTP: progress, answers that are kept, sentences for what cannot be found out."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from safetensors.numpy import load
from starlette.types import ASGIApp

from gatescope import Run, Settings, configure, create_run, record, studies, train
from gatescope.explorer import studies as explorer_studies
from gatescope.explorer import study_text
from gatescope.explorer.app import make_app
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.memory import STUDY_BYTES
from gatescope.explorer.requests import RequestError
from gatescope.runs import HISTORY, WEIGHTS
from gatescope.studies.common.table import Table
from gatescope.tasks import Counter, Text
from tests.studies import handmade
from tests.waiting import PATIENCE

PORT = 8791
LATCH = handmade.LATCH


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """counter: strings. planted: neurons that are known, and their text. bytes: read as bytes. short: a short text."""
    place = tmp_path_factory.mktemp("runs")
    task = Counter(batch=2)
    train(create_run(place / "counter", task, configure(task.vocabulary, "lstm", (4,)), Settings(4)))
    (place / "planted.txt").write_text(handmade.text(60_000, 1), encoding="utf-8")
    network = handmade.network()
    run = create_run(place / "planted", Text([place / "planted.txt"]), network.configuration, Settings(1))
    run.save_weights(network.state_dict(), 1)
    run.append(HISTORY, {"step": 1, "loss": 1.0})
    (place / "poem.txt").write_text('"床前明月光，\n疑是地上霜。"\n' * 120, encoding="utf-8")
    poem = Text([place / "poem.txt"], bytes=True)
    train(create_run(place / "bytes", poem, configure(poem.vocabulary, "gru", (5,)), Settings(2)))
    return place


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs"))


class Page:
    def __init__(self, *places: Path) -> None:
        self.app: ASGIApp = make_app(Gallery(list(places)), PORT)

    def post(self, path: str, body: Any, **arguments: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}") as client:
                return await client.post(path, json=body, **arguments)

        return anyio.run(send)

    def ask(self, run: str, study: str, **body: Any) -> dict[str, Any]:
        answer = self.post(f"/api/runs/{run}/study", {"study": study, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self, run: str, study: str, **body: Any) -> dict[str, Any]:
        """Begin a study, and ask again until it has come to an end."""
        answer, end = self.ask(run, study, start=True, **body), time.monotonic() + PATIENCE
        while answer["state"] == "working":
            assert time.monotonic() < end
            assert answer["doing"]
            assert 0 <= answer["done"] <= max(answer["total"], answer["done"])
            answer = self.ask(run, study, **body)
        return answer

    def features(self, run: str, text: str, *names: str) -> tuple[dict[str, np.ndarray], list[Any], list[Any]]:
        answer = self.post(f"/api/runs/{run}/features", {"text": text, "features": names})
        assert answer.status_code == 200, answer.text
        body = answer.content
        about = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])["__metadata__"]
        return load(body), json.loads(about["found"]), json.loads(about["features"])


@pytest.fixture
def page(place: Path) -> Page:
    return Page(place)


# --- studies of a whole run ------------------------------------------------------------------------------------------


def test_nothing_is_begun_before_it_is_wanted(page: Page, place: Path) -> None:
    for study in ("labels", "ablation", "health", "neuron"):
        assert page.ask("counter", study) == {"state": "none"}
    assert not (place / "counter" / "studies").exists()


def test_saturation_is_that_of_the_gates_on_held_out_strings(page: Page, place: Path) -> None:
    answer = page.wait("counter", "health")
    assert (answer["state"], answer["stale"]) == ("done", False)
    columns = answer["result"]["saturation"]["columns"]
    trace = record(Run(place / "counter").network()[0], Run(place / "counter").task().held_out(4000))
    inside = np.arange(trace.steps["token"].shape[1]) < trace.lengths[:, None]
    for layer, gate, neuron, left, right in zip(
        *(columns[name] for name in ("layer", "gate", "neuron", "left", "right")), strict=True
    ):
        values = trace[layer][gate][inside][:, neuron]
        assert left == pytest.approx((values < 0.1).mean())
        assert right == pytest.approx((values > 0.9).mean())
    assert set(columns["gate"]) == {"i", "f", "o"}
    assert len(answer["result"]["health"]["columns"]["verdict"]) == 4


def test_labels_find_what_was_planted_and_are_kept(page: Page, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer_studies, "SEARCHES", 300)
    table = page.wait("planted", "labels", keep=True)["result"]["labels"]
    rows = [dict(zip(table["columns"], row, strict=True)) for row in zip(*table["columns"].values(), strict=True)]
    best = next(r for r in rows if (r["signal"], r["neuron"], r["place"]) == ("c", handmade.COUNTER, 0))
    assert (best["feature"], best["measure"], best["lag"]) == ("counts.a_minus_b", "R2", 0)
    # The feature is never less than 0, which the neuron is now and then.
    assert best["score"] > 0.9
    # Another server, and the command line, find it in the run directory.
    found = studies.load(Run(place / "planted"), "labels")
    assert found is not None
    assert found.to_json() == table
    assert Page(place).ask("planted", "labels")["result"]["labels"] == table


def test_the_effect_of_every_neuron_of_every_layer(page: Page) -> None:
    columns = page.wait("counter", "ablation")["result"]["ablation"]["columns"]
    assert columns["layer"] == ["layer0"] * 4
    assert columns["neuron"] == [0, 1, 2, 3]
    assert all(
        low <= on <= high for on, low, high in zip(columns["on"], columns["on_low"], columns["on_high"], strict=True)
    )


def table_of_labels(score: Any = 0.75) -> Table:
    row = {"layer": "layer0", "signal": "c", "neuron": 2, "place": 0, "feature": "own.x", "title": "x", "measure": "R2"}
    row |= {"score": score, "lag": 0, "direction": 1}
    return Table.of([row], {name: name for name in row})


def test_what_the_command_line_kept_is_shown_at_once(page: Page, place: Path) -> None:
    studies.save(Run(place / "counter"), "labels", table_of_labels())
    answer = page.ask("counter", "labels")
    assert answer["state"] == "done"
    assert answer["result"]["labels"]["columns"]["score"] == [0.75]
    studies.save(Run(place / "counter"), "labels", table_of_labels(0.5))
    assert page.ask("counter", "labels")["result"]["labels"]["columns"]["score"] == [0.5]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"{}",
        b'{"weights": "x", "table": {}}',
        b"\xff\xfe",
        b"[" * 5000,
        b'{"format": 1, "weights": MARK, "table": 3}',
        b'{"format": 1, "weights": MARK, "table": {"columns": {}, "titles": {}, "about": {}}}',
        b'{"format": 1, "weights": MARK, "table": {"columns": {"a": [1], "b": []}, "titles": {}, "about": {}}}',
        "a score that is a word",
        "a neuron that is a fraction",
    ],
)
def test_a_damaged_answer_counts_as_none(page: Page, place: Path, content: bytes | str) -> None:
    run = Run(place / "counter")
    studies.save(run, "labels", table_of_labels())
    file = place / "counter" / "studies" / "labels.json"
    data = json.loads(file.read_text())
    if isinstance(content, bytes):
        file.write_bytes(content.replace(b"MARK", json.dumps(data["weights"]).encode()))
    else:
        column, value = ("score", "high") if "score" in content else ("neuron", 1.5)
        data["table"]["columns"][column] = [value]
        file.write_text(json.dumps(data))
    assert page.ask("counter", "labels") == {"state": "none"}


def test_newer_weights_have_no_labels_yet(page: Page, place: Path) -> None:
    page.wait("counter", "health")
    assert page.ask("counter", "health")["stale"] is False
    train(Run(place / "counter"), steps=8)
    answer = page.ask("counter", "health")
    # What is known is still told, with a word that it is old; a new server knows nothing.
    assert (answer["state"], answer["stale"]) == ("done", True)
    assert Page(place).ask("counter", "health") == {"state": "none"}
    assert page.wait("counter", "health")["stale"] is False


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(page: Page, place: Path) -> None:
    (place / "counter" / "studies").write_text("a file where a folder should be")
    assert page.wait("counter", "health", keep=True)["state"] == "done"


@pytest.mark.parametrize("study", ["labels", "ablation", "health"])
def test_studies_are_not_kept_unless_asked_to(page: Page, place: Path, study: str) -> None:
    """Looking does not write into the run directory; the answer is still there for the next question."""
    answer = page.wait("counter", study)
    assert answer["state"] == "done"
    assert not (place / "counter" / "studies").exists()
    assert page.ask("counter", study) == answer


def test_answer_of_a_newer_version_is_named_and_never_replaced(page: Page, place: Path) -> None:
    run, file = Run(place / "counter"), place / "counter" / "studies" / "health.json"
    studies.save(run, "health", table_of_labels())
    content = file.read_text().replace('"format": 1', '"format": 7')
    file.write_text(content)
    answer = page.ask("counter", "health")
    assert answer["state"] == "none"
    assert "got 7, which a newer gatescope wrote" in answer["problem"]
    assert page.wait("counter", "health", keep=True)["state"] == "done"
    assert file.read_text() == content
    assert (file.parent / "saturation.json").is_file()


# --- one neuron ------------------------------------------------------------------------------------------------------


def test_one_neuron_with_its_passages(page: Page, place: Path) -> None:
    answer = page.wait(
        "planted", "neuron", layer="layer0", signal="c", neuron=handmade.COUNTER, features=["character.is=a"]
    )
    found, run = answer["result"], Run(place / "planted")
    values = record(run.network()[0], run.task().held_out(20_000))["layer0"]["c"][0, :, handmade.COUNTER]
    assert found["most"][0]["value"] == pytest.approx(float(values.max()))
    assert found["least"][0]["value"] == pytest.approx(float(values.min()))
    for passage in [*found["most"], *found["least"]]:
        assert passage["text"][passage["from"]] == passage["at"]
        again = record(run.network()[0], passage["text"])["layer0"]["c"][0, passage["from"], handmade.COUNTER]
        # The counter is read anew from some hundred characters before; where that is the beginning, it is the same.
        if passage["from"] == passage["step"]:
            assert again == pytest.approx(passage["value"], abs=1e-4)
    assert sum(found["histogram"]["columns"]["count"]) == found["steps"] == len(values)
    assert found["effect"]["columns"]["feature"] == ["", "character.is=a"]


def test_strings_that_are_the_same_are_shown_once(page: Page) -> None:
    passages = page.wait("counter", "neuron", layer="layer0", signal="h", neuron=1)["result"]["most"]
    texts = [(row["before"], row["at"], row["after"]) for row in passages]
    assert len(set(texts)) == len(texts) > 1


def test_what_is_infinite_can_be_written(page: Page) -> None:
    found = page.wait("planted", "neuron", layer="layer0", signal="c", neuron=handmade.COUNTER)["result"]
    # The counter's forget gate is 1 in single precision, so it forgets nothing.
    assert found["health"]["time_constant"] == "infinite"


@pytest.mark.parametrize(
    "body",
    [
        {"layer": "layer7"},
        {"signal": "q"},
        {"neuron": 4},
        {"neuron": -1},
        {"neuron": 10**12},
        {"features": ["no.such", "character.is=", " & ", "a & not"]},
    ],
)
def test_a_neuron_that_is_not_there(page: Page, body: dict[str, Any]) -> None:
    answer = page.wait("counter", "neuron", **body)
    if "features" in body:
        assert answer["result"]["effect"]["columns"]["feature"] == [""]
        return
    assert answer["state"] == "failed"
    assert len(answer["error"]) < 300
    assert "Unexpected error" not in answer["error"]


def test_bytes_can_be_studied(page: Page) -> None:
    found = page.wait("bytes", "neuron", layer="layer0", signal="h", neuron=2)["result"]
    for passage in found["most"]:
        encoded = passage["text"].encode()
        assert encoded.decode() == passage["text"]
        assert 0 <= passage["from"] < len(encoded)


# --- places like another ---------------------------------------------------------------------------------------------

SHOWN = "aab.Axxxxxxxxx.Baa"


def test_places_where_the_same_neurons_are_on(page: Page, place: Path) -> None:
    body = {"layer": "layer0", "signal": "c", "text": SHOWN, "first": 4, "last": 14, "threshold": 0.3}
    found = page.wait("planted", "places", **body)["result"]
    assert found["neurons"]["columns"]["neuron"] == [LATCH]
    text = Run(place / "planted").task().held_out(20_000)
    assert len(found["places"]) > 5
    for one in found["places"]:
        # The latch is on from an A to the B after it, and nowhere else.
        assert one["at"].startswith("A")
        assert "B" not in one["at"]
        assert one["after"].startswith("B")
        assert one["before"][-1:] + one["at"] + one["after"][:1] in text
        assert one["text"][one["from"] : one["to"] + 1] == one["at"]


def test_a_place_of_the_text_itself_is_not_found_again(page: Page, place: Path) -> None:
    text = Run(place / "planted").task().held_out(2_000)
    first = text.index("A", 100)
    last = text.index("B", first) - 1
    shown = text[first - 60 : last + 40]
    body = {"layer": "layer0", "signal": "c", "text": shown, "first": 60, "last": 60 + last - first, "threshold": 0.3}
    found = page.wait("planted", "places", **body)["result"]
    assert LATCH in found["neurons"]["columns"]["neuron"]
    assert found["places"]
    assert all(one["before"] + one["at"] != text[first - 28 : last + 1] for one in found["places"])


def test_a_string_is_not_found_again_in_itself(page: Page, place: Path) -> None:
    string = Run(place / "counter").task().held_out(4_000).partition("\n")[0] + "\n"
    # All of it: there is nothing before and after where the neurons would have to be off.
    body = {"signal": "c", "text": "aX\n" + string, "first": 3, "last": 2 + len(string), "threshold": 1e-6}
    places = page.wait("counter", "places", **body)["result"]["places"]
    assert places
    assert all(one["before"] + one["at"] + one["after"] != string for one in places)


def test_no_neuron_is_no_error(page: Page) -> None:
    body = {"layer": "layer0", "signal": "c", "text": SHOWN, "first": 4, "last": 14, "threshold": 1000.0}
    found = page.wait("planted", "places", **body)["result"]
    assert found["neurons"]["columns"]["neuron"] == []
    assert found["places"] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"first": 0, "last": 99}, "steps"),
        ({"first": -1, "last": 2}, "steps"),
        ({"first": 3, "last": 2}, "steps"),
        ({"text": ""}, "0 steps"),
        ({"text": "aXb\naXb", "first": 2, "last": 5}, "sequence"),
        ({"signal": "zz"}, "zz"),
        ({"layer": "layer9"}, "layer9"),
    ],
)
def test_ranges_that_are_not_there(page: Page, body: dict[str, Any], words: str) -> None:
    answer = page.wait("counter", "places", **{"text": "aaXbb", "signal": "h", **body})
    assert answer["state"] == "failed"
    assert words in answer["error"]
    assert "Unexpected error" not in answer["error"]


# --- what cannot be studied ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"study": "colours"},
        {"study": 3},
        {"study": "labels", "extra": 1},
        {"study": "labels", "start": 1},
        {"study": "neuron", "neuron": True},
        {"study": "neuron", "neuron": 1.5},
        {"study": "neuron", "features": "character.letter"},
        {"study": "neuron", "features": ["x"] * 33},
        {"study": "places", "threshold": "high"},
    ],
)
def test_requests_that_make_no_sense(page: Page, body: Any) -> None:
    answer = page.post("/api/runs/counter/study", body)
    assert answer.status_code == 400
    assert len(answer.json()["error"]) < 300


def test_numbers_that_are_none_are_refused(page: Page) -> None:
    body = b'{"study": "places", "threshold": NaN}'

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(page.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}") as client:
            headers = {"content-type": "application/json"}
            return await client.post("/api/runs/counter/study", content=body, headers=headers)

    assert anyio.run(send).status_code == 400


def test_a_run_that_is_gone(page: Page) -> None:
    for path in ("study", "features"):
        answer = page.post(f"/api/runs/gone/{path}", {"study": "labels"})
        assert answer.status_code == 404


def test_only_the_page_itself_may_ask(page: Page) -> None:
    for path in ("study", "features"):
        answer = page.post(
            f"/api/runs/counter/{path}", {"study": "labels", "start": True}, headers={"Origin": "http://evil.example"}
        )
        assert answer.status_code == 403


def test_a_text_that_is_gone_is_one_sentence(page: Page, place: Path, trained: Path) -> None:
    task = json.loads((place / "planted" / "task.json").read_text())
    task["paths"] = [str(place / "nowhere.txt")]
    (place / "planted" / "task.json").write_text(json.dumps(task))
    for study in ("labels", "neuron", "health"):
        answer = page.wait("planted", study)
        assert answer["state"] == "failed"
        assert "nowhere.txt" in answer["error"]
        assert "Unexpected error" not in answer["error"]
    # The features of a text need no other text.
    arrays, _, _ = page.features("planted", "ab(A)", "character.letter")
    assert arrays["0"].tolist() == [1, 1, 0, 1, 0]


def test_no_weights_are_one_sentence(page: Page, place: Path) -> None:
    (place / "counter" / WEIGHTS).unlink()
    assert page.ask("counter", "labels") == {"state": "none"}
    answer = page.wait("counter", "health")
    assert answer["state"] == "failed"
    assert "weights" in answer["error"]


def test_a_failure_can_be_tried_again(page: Page, place: Path) -> None:
    weights = (place / "counter" / WEIGHTS).read_bytes()
    (place / "counter" / WEIGHTS).unlink()
    assert page.wait("counter", "health")["state"] == "failed"
    (place / "counter" / WEIGHTS).write_bytes(weights)
    assert page.wait("counter", "health")["state"] == "done"


def test_what_is_studied_is_bounded(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller number of bytes gives a shorter text, and too small a number a refusal."""
    run, sizes = Run(place / "planted"), []
    for share in (1, 20, 40):
        monkeypatch.setattr(study_text, "STUDY_BYTES", STUDY_BYTES // share)
        sizes.append(study_text.characters_within(run.configuration(), 10**9))
        assert len(study_text.StudyText(run).subject.text) <= sizes[-1]
    assert sizes[0] > sizes[1] > sizes[2] > study_text.MIN_STEPS
    monkeypatch.setattr(study_text, "STUDY_BYTES", 1)
    with pytest.raises(RequestError, match="expected a study of at most 0 MB"):
        study_text.StudyText(run)


# --- features of the shown text --------------------------------------------------------------------------------------


def test_features_of_a_text(page: Page) -> None:
    text = "ab(aA)b.A"
    names = (
        "character.is=a",
        "counts.a_minus_b",
        "character.letter & not character.is=a",
        "nothing.such",
        "character.is",
    )
    arrays, found, known = page.features("planted", text, *names)
    assert arrays["0"].dtype == np.uint8
    assert arrays["0"].tolist() == [int(symbol == "a") for symbol in text]
    assert arrays["1"].dtype == np.float32
    assert arrays["1"].tolist() == [text[: k + 1].count("a") - text[: k + 1].count("b") for k in range(len(text))]
    assert arrays["2"].tolist() == [int(symbol.isalpha() and symbol != "a") for symbol in text]
    assert set(arrays) == {"0", "1", "2"}
    assert [None if one is None else one["name"] for one in found] == [*names[:3], None, None]
    assert {"name", "title", "kind", "categories"} == set(known[0])


def test_features_of_strings_begin_anew_in_each(page: Page) -> None:
    arrays, _, _ = page.features("counter", "aaXbb\naX", "task.so_far", "position.in_sequence")
    assert arrays["0"].tolist() == [1, 2, 2, 2, 2, 2, 1, 1]
    assert len(arrays["1"]) == 8


def test_features_of_bytes_last_as_long_as_their_character(page: Page) -> None:
    arrays, _, _ = page.features("bytes", "a月，", "character.ideograph")
    assert arrays["0"].tolist() == [0, 1, 1, 1, 0, 0, 0]


def test_features_of_characters_that_the_network_does_not_know(page: Page) -> None:
    arrays, _, _ = page.features("counter", "aq月X", "character.letter")
    assert len(arrays["0"]) == 4


def test_no_text_has_no_features(page: Page) -> None:
    arrays, found, known = page.features("counter", "", "character.letter")
    assert (arrays, found, known) == ({}, [None], [])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "a"},
        {"text": 1, "features": []},
        {"text": "a", "features": "x"},
        {"text": "a", "features": [1]},
    ],
)
def test_features_that_make_no_sense(page: Page, body: Any) -> None:
    assert page.post("/api/runs/counter/features", body).status_code == 400
