"""Studies of a run over HTTP: progress, saved tables, and errors as sentences."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from safetensors.numpy import load

from gatescope import Run, Settings, configure, create_run, record, studies, train
from gatescope.explorer import studies as explorer_studies
from gatescope.explorer import study_text
from gatescope.explorer.memory import STUDY_BYTES
from gatescope.explorer.requests import RequestError
from gatescope.runs import HISTORY, WEIGHTS
from gatescope.studies.common.table import Table
from gatescope.tasks import Counter, Text
from tests.explorer.page import Page
from tests.studies import handmade
from tests.waiting import PATIENCE

LATCH = handmade.LATCH


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return four runs: counter (strings), planted (known neurons and their text), bytes (a text of bytes), short."""
    folder = tmp_path_factory.mktemp("runs")
    task = Counter(batch=2)
    train(create_run(folder / "counter", task, configure(task.vocabulary, "lstm", (4,)), Settings(4)))
    (folder / "planted.txt").write_text(handmade.text(60_000, 1), encoding="utf-8")
    network = handmade.network()
    run = create_run(folder / "planted", Text([folder / "planted.txt"]), network.configuration, Settings(1))
    run.save_weights(network.state_dict(), 1)
    run.append(HISTORY, {"step": 1, "loss": 1.0})
    (folder / "poem.txt").write_text('"床前明月光，\n疑是地上霜。"\n' * 120, encoding="utf-8")
    poem = Text([folder / "poem.txt"], bytes=True)
    train(create_run(folder / "bytes", poem, configure(poem.vocabulary, "gru", (5,)), Settings(2)))
    return folder


class StudyPage(Page):
    """Asks for studies and features as the explorer's page does."""

    def post(self, path: str, body: Any, **arguments: Any) -> httpx.Response:
        return self.send("POST", path, json=body, **arguments)

    def study(self, run: str, study: str, **body: Any) -> dict[str, Any]:
        answer = self.act(f"/api/runs/{run}/study", {"study": study, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self, run: str, study: str, **body: Any) -> dict[str, Any]:
        """Start a study, and repeat the request until it ends."""
        answer, end = self.study(run, study, start=True, **body), time.monotonic() + PATIENCE
        while answer["state"] == "working":
            assert time.monotonic() < end
            assert answer["doing"]
            assert 0 <= answer["done"] <= max(answer["total"], answer["done"])
            answer = self.study(run, study, **body)
        return answer

    def features(self, run: str, text: str, *names: str) -> tuple[dict[str, np.ndarray], list[Any], list[Any]]:
        answer = self.post(f"/api/runs/{run}/features", {"text": text, "features": names})
        assert answer.status_code == 200, answer.text
        body = answer.content
        metadata = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])["__metadata__"]
        return load(body), json.loads(metadata["found"]), json.loads(metadata["features"])


@pytest.fixture
def page(folder: Path) -> StudyPage:
    return StudyPage(folder)


# --- studies of a whole run ------------------------------------------------------------------------------------------


def test_study_without_start_is_not_started(page: StudyPage, folder: Path) -> None:
    for study in ("labels", "ablation", "health", "neuron"):
        assert page.study("counter", study) == {"state": "none"}
    assert not (folder / "counter" / "studies").exists()


def test_saturation_equals_recorded_gates(page: StudyPage, folder: Path) -> None:
    answer = page.wait("counter", "health")
    assert (answer["state"], answer["stale"]) == ("done", False)
    columns = answer["result"]["saturation"]["columns"]
    trace = record(Run(folder / "counter").network()[0], Run(folder / "counter").task().held_out(4000))
    inside = np.arange(trace.steps["token"].shape[1]) < trace.lengths[:, None]
    for layer, gate, neuron, left, right in zip(
        *(columns[name] for name in ("layer", "gate", "neuron", "left", "right")), strict=True
    ):
        values = trace[layer][gate][inside][:, neuron]
        assert left == pytest.approx((values < 0.1).mean())
        assert right == pytest.approx((values > 0.9).mean())
    assert set(columns["gate"]) == {"i", "f", "o"}
    assert len(answer["result"]["health"]["columns"]["findings"]) == 4


def test_saved_health_without_codes_is_computed_again(page: StudyPage, folder: Path) -> None:
    """Tables of version 0.1 have words only, which the page does not compare."""
    run = Run(folder / "counter")
    health = page.wait("counter", "health", keep=True)["result"]["health"]["columns"]
    table = studies.load(run, "health")
    assert table is not None
    columns = {name: values for name, values in table.columns.items() if name != "findings"}
    titles = {name: title for name, title in table.titles.items() if name != "findings"}
    studies.save(run, "health", Table(columns, titles, table.about))
    later = StudyPage(folder)
    assert later.study("counter", "health") == {"state": "none"}
    assert later.wait("counter", "health")["result"]["health"]["columns"] == health


def test_labels_find_planted_features_and_are_saved(
    page: StudyPage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorer_studies, "MOVED_SCORES", 300)
    table = page.wait("planted", "labels", keep=True)["result"]["labels"]
    rows = [dict(zip(table["columns"], row, strict=True)) for row in zip(*table["columns"].values(), strict=True)]
    best = next(r for r in rows if (r["signal"], r["neuron"], r["place"]) == ("c", handmade.COUNTER, 0))
    assert (best["feature"], best["measure"], best["lag"]) == ("counts.a_minus_b", "R2", 0)
    # The feature is never negative, but the neuron sometimes is.
    assert best["score"] > 0.9
    # Another server and the command line read the table from the run directory.
    result = studies.load(Run(folder / "planted"), "labels")
    assert result is not None
    assert result.to_json() == table
    assert StudyPage(folder).study("planted", "labels")["result"]["labels"] == table


def test_ablation_covers_every_neuron_of_every_layer(page: StudyPage) -> None:
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


def test_tables_saved_by_the_command_line_are_shown(page: StudyPage, folder: Path) -> None:
    studies.save(Run(folder / "counter"), "labels", table_of_labels())
    answer = page.study("counter", "labels")
    assert answer["state"] == "done"
    assert answer["result"]["labels"]["columns"]["score"] == [0.75]
    studies.save(Run(folder / "counter"), "labels", table_of_labels(0.5))
    assert page.study("counter", "labels")["result"]["labels"]["columns"]["score"] == [0.5]


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
def test_damaged_table_is_ignored(page: StudyPage, folder: Path, content: bytes | str) -> None:
    run = Run(folder / "counter")
    studies.save(run, "labels", table_of_labels())
    file = folder / "counter" / "studies" / "labels.json"
    data = json.loads(file.read_text())
    if isinstance(content, bytes):
        file.write_bytes(content.replace(b"MARK", json.dumps(data["weights"]).encode()))
    else:
        column, value = ("score", "high") if "score" in content else ("neuron", 1.5)
        data["table"]["columns"][column] = [value]
        file.write_text(json.dumps(data))
    assert page.study("counter", "labels") == {"state": "none"}


def test_tables_of_older_weights_are_stale(page: StudyPage, folder: Path) -> None:
    page.wait("counter", "health")
    assert page.study("counter", "health")["stale"] is False
    train(Run(folder / "counter"), steps=8)
    answer = page.study("counter", "health")
    # The old answer is still returned and marked as stale; a new server has none.
    assert (answer["state"], answer["stale"]) == ("done", True)
    assert StudyPage(folder).study("counter", "health") == {"state": "none"}
    assert page.wait("counter", "health")["stale"] is False


def test_unsavable_table_is_still_answered(page: StudyPage, folder: Path) -> None:
    (folder / "counter" / "studies").write_text("a file where a folder should be")
    assert page.wait("counter", "health", keep=True)["state"] == "done"


@pytest.mark.parametrize("study", ["labels", "ablation", "health"])
def test_study_without_keep_saves_nothing(
    page: StudyPage, folder: Path, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run directory does not change, and the answer stays in the cache."""
    monkeypatch.setattr(explorer_studies, "MOVED_SCORES", 300)
    answer = page.wait("counter", study)
    assert answer["state"] == "done"
    assert not (folder / "counter" / "studies").exists()
    assert page.study("counter", study) == answer


def test_table_of_a_newer_version_is_never_replaced(page: StudyPage, folder: Path) -> None:
    run, file = Run(folder / "counter"), folder / "counter" / "studies" / "health.json"
    studies.save(run, "health", table_of_labels())
    content = file.read_text().replace('"format": 1', '"format": 7')
    file.write_text(content)
    answer = page.study("counter", "health")
    assert answer["state"] == "none"
    assert "got 7, which a newer gatescope wrote" in answer["problem"]
    assert page.wait("counter", "health", keep=True)["state"] == "done"
    assert file.read_text() == content
    assert (file.parent / "saturation.json").is_file()


# --- one neuron ------------------------------------------------------------------------------------------------------


def test_neuron_study_has_passages_and_effect(page: StudyPage, folder: Path) -> None:
    answer = page.wait(
        "planted", "neuron", layer="layer0", signal="c", neuron=handmade.COUNTER, features=["character.is=a"]
    )
    result, run = answer["result"], Run(folder / "planted")
    values = record(run.network()[0], run.task().held_out(20_000))["layer0"]["c"][0, :, handmade.COUNTER]
    assert result["most"][0]["value"] == pytest.approx(float(values.max()))
    assert result["least"][0]["value"] == pytest.approx(float(values.min()))
    for passage in [*result["most"], *result["least"]]:
        assert passage["text"][passage["from"]] == passage["at"]
        again = record(run.network()[0], passage["text"])["layer0"]["c"][0, passage["from"], handmade.COUNTER]
        # The excerpt starts some hundred characters earlier; from the beginning of the text, the values are equal.
        if passage["from"] == passage["step"]:
            assert again == pytest.approx(passage["value"], abs=1e-4)
    assert sum(result["histogram"]["columns"]["count"]) == result["steps"] == len(values)
    assert result["effect"]["columns"]["feature"] == ["", "character.is=a"]


def test_equal_strings_are_shown_once(page: StudyPage) -> None:
    passages = page.wait("counter", "neuron", layer="layer0", signal="h", neuron=1)["result"]["most"]
    texts = [(row["before"], row["at"], row["after"]) for row in passages]
    assert len(set(texts)) == len(texts) > 1


def test_infinite_numbers_are_written_as_words(page: StudyPage) -> None:
    result = page.wait("planted", "neuron", layer="layer0", signal="c", neuron=handmade.COUNTER)["result"]
    # The counter's forget gate is 1 in single precision, so it forgets nothing.
    assert result["health"]["time_constant"] == "infinite"


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
def test_unknown_neuron_is_refused(page: StudyPage, body: dict[str, Any]) -> None:
    answer = page.wait("counter", "neuron", **body)
    if "features" in body:
        assert answer["result"]["effect"]["columns"]["feature"] == [""]
        return
    assert answer["state"] == "failed"
    assert len(answer["error"]) < 300
    assert "Unexpected error" not in answer["error"]


def test_study_of_bytes_has_whole_characters(page: StudyPage) -> None:
    result = page.wait("bytes", "neuron", layer="layer0", signal="h", neuron=2)["result"]
    for passage in result["most"]:
        encoded = passage["text"].encode()
        assert encoded.decode() == passage["text"]
        assert 0 <= passage["from"] < len(encoded)


# --- places like another ---------------------------------------------------------------------------------------------

SHOWN = "aab.Axxxxxxxxx.Baa"


def test_places_have_the_same_neurons_on(page: StudyPage, folder: Path) -> None:
    body = {"layer": "layer0", "signal": "c", "text": SHOWN, "first": 4, "last": 14, "threshold": 0.3}
    result = page.wait("planted", "places", **body)["result"]
    assert result["neurons"]["columns"]["neuron"] == [LATCH]
    text = Run(folder / "planted").task().held_out(20_000)
    assert len(result["places"]) > 5
    for entry in result["places"]:
        # The latch is on from an A to the following B only.
        assert entry["at"].startswith("A")
        assert "B" not in entry["at"]
        assert entry["after"].startswith("B")
        assert entry["before"][-1:] + entry["at"] + entry["after"][:1] in text
        assert entry["text"][entry["from"] : entry["to"] + 1] == entry["at"]


def test_places_leave_out_the_range_itself(page: StudyPage, folder: Path) -> None:
    text = Run(folder / "planted").task().held_out(2_000)
    first = text.index("A", 100)
    last = text.index("B", first) - 1
    shown = text[first - 60 : last + 40]
    body = {"layer": "layer0", "signal": "c", "text": shown, "first": 60, "last": 60 + last - first, "threshold": 0.3}
    result = page.wait("planted", "places", **body)["result"]
    assert LATCH in result["neurons"]["columns"]["neuron"]
    assert result["places"]
    assert all(entry["before"] + entry["at"] != text[first - 28 : last + 1] for entry in result["places"])


def test_places_leave_out_the_string_itself(page: StudyPage, folder: Path) -> None:
    """Without weights, and with candidates above 0, every neuron is on at every step of every string."""
    run = Run(folder / "counter")
    network = run.network()[0]
    with torch.no_grad():
        for weights in network.parameters():
            weights.zero_()
        network.parameters_of(0).biases[network.configuration.layers[0].cell.tape.input_drives.index("g")] = 1.0
    run.save_weights(network.state_dict(), 0)
    string = run.task().held_out(4_000).partition("\n")[0] + "\n"
    # The whole text: no step before or after it where the neurons must be off.
    body = {"signal": "c", "text": "aX\n" + string, "first": 3, "last": 2 + len(string), "threshold": 1e-6}
    places = page.wait("counter", "places", **body)["result"]["places"]
    assert places
    assert all(entry["before"] + entry["at"] + entry["after"] != string for entry in places)


def test_places_without_neurons_are_empty(page: StudyPage) -> None:
    body = {"layer": "layer0", "signal": "c", "text": SHOWN, "first": 4, "last": 14, "threshold": 1000.0}
    result = page.wait("planted", "places", **body)["result"]
    assert result["neurons"]["columns"]["neuron"] == []
    assert result["places"] == []


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
def test_places_refuse_unknown_ranges(page: StudyPage, body: dict[str, Any], words: str) -> None:
    answer = page.wait("counter", "places", **{"text": "aaXbb", "signal": "h", **body})
    assert answer["state"] == "failed"
    assert words in answer["error"]
    assert "Unexpected error" not in answer["error"]


# --- what cannot be studied ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "expected a JSON object"),
        ({}, "field study"),
        ({"study": "colours"}, "colours"),
        ({"study": 3}, "field study"),
        ({"study": "labels", "extra": 1}, "extra"),
        ({"study": "labels", "start": 1}, "field start"),
        ({"study": "neuron", "neuron": True}, "field neuron"),
        ({"study": "neuron", "neuron": 1.5}, "field neuron"),
        ({"study": "neuron", "features": "character.letter"}, "field features"),
        ({"study": "neuron", "features": ["x"] * 33}, "field features"),
        ({"study": "places", "threshold": "high"}, "field threshold"),
    ],
)
def test_study_refuses_impossible_fields(page: StudyPage, body: Any, words: str) -> None:
    answer = page.post("/api/runs/counter/study", body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert len(answer.json()["error"]) < 300


def test_study_refuses_numbers_that_are_not_finite(page: StudyPage) -> None:
    body = b'{"study": "places", "threshold": NaN}'
    answer = page.send("POST", "/api/runs/counter/study", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert "expected a finite number" in answer.json()["error"]


def test_study_of_an_unknown_run_is_refused(page: StudyPage) -> None:
    for path in ("study", "features"):
        answer = page.post(f"/api/runs/gone/{path}", {"study": "labels"})
        assert answer.status_code == 404
        assert "gone" in answer.json()["error"]


def test_study_refuses_foreign_pages(page: StudyPage) -> None:
    for path in ("study", "features"):
        answer = page.post(
            f"/api/runs/counter/{path}", {"study": "labels", "start": True}, headers={"Origin": "http://evil.example"}
        )
        assert answer.status_code == 403
        assert "only the explorer's own page" in answer.json()["error"]


def test_study_of_a_missing_text_fails_with_one_sentence(page: StudyPage, folder: Path, trained: Path) -> None:
    task = json.loads((folder / "planted" / "task.json").read_text())
    task["paths"] = [str(folder / "nowhere.txt")]
    (folder / "planted" / "task.json").write_text(json.dumps(task))
    for study in ("labels", "neuron", "health"):
        answer = page.wait("planted", study)
        assert answer["state"] == "failed"
        assert "nowhere.txt" in answer["error"]
        assert "Unexpected error" not in answer["error"]
    # Features of the shown text do not need the missing text.
    arrays, _, _ = page.features("planted", "ab(A)", "character.letter")
    assert arrays["0"].tolist() == [1, 1, 0, 1, 0]


def test_study_without_weights_fails_with_one_sentence(page: StudyPage, folder: Path) -> None:
    (folder / "counter" / WEIGHTS).unlink()
    assert page.study("counter", "labels") == {"state": "none"}
    answer = page.wait("counter", "health")
    assert answer["state"] == "failed"
    assert "weights" in answer["error"]


def test_failed_study_can_be_started_again(page: StudyPage, folder: Path) -> None:
    weights = (folder / "counter" / WEIGHTS).read_bytes()
    (folder / "counter" / WEIGHTS).unlink()
    assert page.wait("counter", "health")["state"] == "failed"
    (folder / "counter" / WEIGHTS).write_bytes(weights)
    assert page.wait("counter", "health")["state"] == "done"


def test_study_text_stays_within_study_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer bytes give a shorter text, and too few bytes a refusal."""
    run, sizes = Run(folder / "planted"), []
    for share in (1, 20, 40):
        monkeypatch.setattr(study_text, "STUDY_BYTES", STUDY_BYTES // share)
        sizes.append(study_text.characters_within(run.configuration(), 10**9))
        assert len(study_text.StudyText(run).subject.text) <= sizes[-1]
    assert sizes[0] > sizes[1] > sizes[2] > study_text.MIN_STEPS
    monkeypatch.setattr(study_text, "STUDY_BYTES", 1)
    with pytest.raises(RequestError, match="expected a study of at most 0 MB"):
        study_text.StudyText(run)


# --- features of the shown text --------------------------------------------------------------------------------------


def test_features_are_sent_for_every_step(page: StudyPage) -> None:
    text = "ab(aA)b.A"
    names = (
        "character.is=a",
        "counts.a_minus_b",
        "character.letter & not character.is=a",
        "nothing.such",
        "character.is",
    )
    arrays, result, known = page.features("planted", text, *names)
    assert arrays["0"].dtype == np.uint8
    assert arrays["0"].tolist() == [int(symbol == "a") for symbol in text]
    assert arrays["1"].dtype == np.float32
    assert arrays["1"].tolist() == [text[: k + 1].count("a") - text[: k + 1].count("b") for k in range(len(text))]
    assert arrays["2"].tolist() == [int(symbol.isalpha() and symbol != "a") for symbol in text]
    assert set(arrays) == {"0", "1", "2"}
    assert [None if entry is None else entry["name"] for entry in result] == [*names[:3], None, None]
    assert {"name", "title", "kind", "categories"} == set(known[0])


def test_features_restart_in_every_string(page: StudyPage) -> None:
    arrays, _, _ = page.features("counter", "aaXbb\naX", "task.so_far", "position.in_sequence")
    assert arrays["0"].tolist() == [1, 2, 2, 2, 2, 2, 1, 1]
    assert len(arrays["1"]) == 8


def test_features_of_bytes_span_their_character(page: StudyPage) -> None:
    arrays, _, _ = page.features("bytes", "a月，", "character.ideograph")
    assert arrays["0"].tolist() == [0, 1, 1, 1, 0, 0, 0]


def test_features_cover_unknown_characters(page: StudyPage) -> None:
    arrays, _, _ = page.features("counter", "aq月X", "character.letter")
    assert len(arrays["0"]) == 4


def test_empty_text_has_no_features(page: StudyPage) -> None:
    arrays, result, known = page.features("counter", "", "character.letter")
    assert (arrays, result, known) == ({}, [None], [])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "a"},
        {"text": 1, "features": []},
        {"text": "a", "features": "x"},
        {"text": "a", "features": [1]},
        {"text": "a", "features": ["character.letter"] * 65},
    ],
)
def test_features_refuse_impossible_requests(page: StudyPage, body: Any) -> None:
    assert page.post("/api/runs/counter/features", body).status_code == 400
