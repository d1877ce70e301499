"""Share: the link, pictures, tables, the live file and the lines of Python equal what the page shows."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Download, Page, expect

from gatescope import Run
from tests.web.looking import View, eventually
from tests.web.watching import watched_page

TEXT = "aaaXbbb\naaXbb\naaaaaaXbbb"
STRIPS = {"view": "network", "run": "counter", "signal": "c", "text": TEXT, "sort": "number"}

# Draws an image of some address at a size, and returns its pixels.
PIXELS = """async ([address, width, height]) => {
  const image = new Image()
  image.src = address
  await image.decode()
  const canvas = new OffscreenCanvas(width || image.naturalWidth, height || image.naturalHeight)
  const pen = canvas.getContext('2d', { willReadFrequently: true })
  pen.drawImage(image, 0, 0, canvas.width, canvas.height)
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height)
  let bytes = ''
  for (let k = 0; k < data.length; k += 32768) bytes += String.fromCharCode(...data.subarray(k, k + 32768))
  return { width: canvas.width, height: canvas.height, data: btoa(bytes) }
}"""


def pixels_of(page: Page, content: bytes, kind: str, size: tuple[int, int] = (0, 0)) -> NDArray[np.int64]:
    """Return the pixels of an image as Chromium draws it, (height, width, 3)."""
    address = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    drawn = page.evaluate(PIXELS, [address, *size])
    data = np.frombuffer(base64.b64decode(drawn["data"]), np.uint8)
    return data.reshape(drawn["height"], drawn["width"], 4)[:, :, :3].astype(np.int64)


def share(view: View, /, **query: Any) -> None:
    """Open a view, and the dialog by its key."""
    view.open(**query)
    view.page.keyboard.press("e")
    expect(view.at("share")).to_be_visible()


def share_written_strips(view: View) -> None:
    """Open the strips, and the dialog once the picture has what the network writes."""
    view.open(**STRIPS)
    expect(view.at("written")).not_to_be_empty()
    view.page.keyboard.press("e")
    expect(view.at("share")).to_be_visible()


def saved(view: View, button: str) -> tuple[str, bytes]:
    """Press a button of the dialog. Returns the name of the file and its content."""
    with view.page.expect_download() as downloading:
        view.at(button).click()
    return content_of(downloading.value)


def content_of(download: Download) -> tuple[str, bytes]:
    return download.suggested_filename, Path(download.path()).read_bytes()


def table(content: bytes) -> tuple[list[str], list[list[str]]]:
    """Return the names and the rows of a CSV file, whose lines end as RFC 4180 says."""
    text = content.decode("utf-8")
    assert text.endswith("\r\n")
    names, *rows = csv.reader(io.StringIO(text, newline=""))
    assert all(len(row) == len(names) for row in rows)
    return names, rows


def values_of(names: list[str], rows: list[list[str]], prefix: str) -> NDArray[np.float32]:
    """Return the columns of a signal, (steps, neurons)."""
    places = [k for k, name in enumerate(names) if name.startswith(f"{prefix}.")]
    places = [k for k in places if not names[k].endswith(".original")]
    return np.array([[float(row[k]) for k in places] for row in rows], np.float64).astype(np.float32)


# --- pictures --------------------------------------------------------------------------------------------------------


def test_svg_equals_the_picture(view: View) -> None:
    """Drawn by the same browser, at most 0.5 % of the pixels differ by more than 40 of 255: edges of letters."""
    share_written_strips(view)
    name, png = saved(view, "share-png")
    step = Run(view.runs / "counter").network()[1]
    assert name.endswith(f"_counter_layer0_c_strips_step-{step}_seed-0_aaaXbbb-aaXbb-aaaaaaXbbb.png"), name
    svg_name, svg = saved(view, "share-svg")
    assert svg_name == name.replace(".png", ".svg")
    text = svg.decode("utf-8")
    assert "<image" not in text
    assert "href" not in text
    for part in ("Run counter", "gatescope", "seed 0", "Text: aaaXbbb", f"training step {step}", ">text, as read<"):
        assert part in text
    picture = pixels_of(view.page, png, "image/png")
    drawn = pixels_of(view.page, svg, "image/svg+xml", (picture.shape[1], picture.shape[0]))
    differing = np.any(np.abs(picture - drawn) > 40, axis=2).mean()
    assert differing < 0.005, differing
    # The strips of the page itself are in it, pixel by pixel.
    page = view.picture()
    layout = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    x, y, cell = int(layout["label"]), int(layout["header"]), int(layout["cell"])
    for row, step in ((0, 0), (3, 5), (9, 20)):
        left, top = 2 * (16 + x + step * cell + 1), 2 * (16 + y + row * page.pitch + 1)
        assert (picture[top, left] == page.pixels[y + row * page.pitch + 1, x + step * cell + 1]).all()


def test_svg_is_the_same_in_another_renderer(view: View, tmp_path: Path) -> None:
    """Cells, bars and lines have the same colours with librsvg; letters have its own fonts."""
    program = shutil.which("rsvg-convert")
    if program is None:
        pytest.skip("SVG TEST SKIPPED: rsvg-convert is not installed; see scripts/install-browser")
    share_written_strips(view)
    _, png = saved(view, "share-png")
    _, svg = saved(view, "share-svg")
    (tmp_path / "strips.svg").write_bytes(svg)
    subprocess.run([program, "-z", "2", "strips.svg", "-o", "strips.png"], cwd=tmp_path, check=True)
    picture = pixels_of(view.page, png, "image/png")
    drawn = pixels_of(view.page, (tmp_path / "strips.png").read_bytes(), "image/png")
    assert drawn.shape == picture.shape
    layout = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    x, y = 2 * (16 + int(layout["label"])), 2 * (16 + int(layout["header"]))
    differing = np.any(np.abs(picture - drawn) > 40, axis=2)
    assert differing.mean() < 0.04, differing.mean()
    cells = differing[y : y + 2 * 10 * int(layout["pitch"]), x : x + 2 * 24 * int(layout["cell"])]
    assert cells.mean() < 0.06, cells.mean()  # the letters on the cells


def test_marked_steps_can_be_chosen_as_the_part(view: View) -> None:
    share(view, **STRIPS, range="2-4")
    view.at("share-scopes").get_by_label("the marked steps").check()
    _, svg = saved(view, "share-svg")
    assert "steps 2 to 4" in svg.decode()
    names, rows = table(saved(view, "share-csv")[1])
    assert [row[names.index("symbol")] for row in rows] == ["a", "X", "b"]
    view.at("share-scopes").get_by_label("the whole text").check()
    assert len(table(saved(view, "share-csv")[1])[1]) == len(TEXT)


# --- tables and Python -----------------------------------------------------------------------------------------------


def test_csv_has_the_arrays_of_the_library(view: View) -> None:
    share(view, **STRIPS)
    names, rows = table(saved(view, "share-csv")[1])
    recorded = view.recorded("counter", TEXT)
    assert names[:3] == ["sequence", "step", "symbol"]
    assert [row[2] for row in rows] == list(TEXT)
    assert [int(row[0]) for row in rows] == [TEXT[:k].count("\n") for k in range(len(TEXT))]
    np.testing.assert_array_equal(values_of(names, rows, "layer0.c"), recorded.layers["layer0"]["c"].T)
    probability = [float(row[names.index("predicted_probability")]) for row in rows]
    np.testing.assert_array_equal(np.array(probability, "f4"), np.array([top[0][1] for top in recorded.top], "f4"))
    assert [row[names.index("predicted")] for row in rows] == [top[0][0] for top in recorded.top]
    names, rows = table(saved(view, "share-layer")[1])
    signals = {name: values for name, values in recorded.layers["layer0"].items() if "." not in name}  # no drives
    assert len(names) == 6 + 10 * len(signals)
    for signal, values in signals.items():
        np.testing.assert_array_equal(values_of(names, rows, f"layer0.{signal}"), values.T)


def test_csv_opens_in_pandas(view: View) -> None:
    pandas = pytest.importorskip("pandas")
    share(view, **STRIPS)
    frame = pandas.read_csv(io.BytesIO(saved(view, "share-csv")[1]), keep_default_na=False)
    columns = [name for name in frame.columns if name.startswith("layer0.c.")]
    values = frame[columns].to_numpy(np.float32)
    np.testing.assert_array_equal(values, view.recorded("counter", TEXT).layers["layer0"]["c"].T)
    assert frame["symbol"].tolist() == list(TEXT)


@pytest.mark.parametrize("hold", [None, "0.4.c.0.2-"])
def test_python_lines_give_the_same_array(view: View, tmp_path: Path, hold: str | None) -> None:
    query = {**STRIPS, "range": "1-5"} | ({} if hold is None else {"hold": hold})
    share(view, **query)
    view.at("share-scopes").get_by_label("the marked steps").check()
    if hold is not None:
        expect(view.at("share-python")).to_contain_text("gatescope.Intervention")
    lines = view.at("share-python").text_content() or ""
    names, rows = table(saved(view, "share-csv")[1])
    (tmp_path / "runs").symlink_to(view.runs)
    (tmp_path / "lines.py").write_text(f"{lines}\nnumpy.save('values.npy', values)\n", encoding="utf-8")
    subprocess.run([sys.executable, "lines.py"], cwd=tmp_path, check=True)
    values = np.load(tmp_path / "values.npy")
    # With holds, the engine in the browser computed the values of the page.
    tolerance = 0.0 if hold is None else 1e-5
    np.testing.assert_allclose(values_of(names, rows, "layer0.c"), values, rtol=tolerance, atol=tolerance)
    assert values.shape == (5, 10)


# --- every page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["neuron", "learning", "gradient", "health"])
def test_figures_of_a_page_are_saved(view: View, where: str) -> None:
    view.page.goto(f"{view.address}/?view={where}&run=counter&neuron=3&text=aaXbb")
    view.page.locator("main svg[role=img], main canvas").first.wait_for()
    view.page.keyboard.press("e")
    expect(view.at("share-png")).to_be_visible()
    name, png = saved(view, "share-png")
    assert png.startswith(b"\x89PNG")
    _, svg = saved(view, "share-svg")
    picture = pixels_of(view.page, png, "image/png")
    drawn = pixels_of(view.page, svg, "image/svg+xml", (picture.shape[1], picture.shape[0]))
    assert (np.abs(picture - drawn) > 40).any(axis=2).mean() < 0.01
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 3
    _, rows = table(saved(view, "share-csv")[1])
    assert len(rows) > 1
    if where == "learning":
        history = [record for record in Run(view.runs / "counter").read("history.jsonl") if "loss" in record]
        assert [float(row[1]) for row in rows if row[1]] == [record["loss"] for record in history]
    assert "_counter_" in name


def test_page_of_text_is_saved(view: View) -> None:
    share(view, **STRIPS, **{"as": "page", "neurons": "3,4"})
    assert "<text" in saved(view, "share-svg")[1].decode()
    names, rows = table(saved(view, "share-csv")[1])
    recorded = view.recorded("counter", TEXT).layers["layer0"]["c"]
    np.testing.assert_array_equal(values_of(names, rows, "layer0.c"), recorded[[3, 4]].T)


# --- the dialog ------------------------------------------------------------------------------------------------------


def test_link_is_copied_and_opens_the_same_view(view: View) -> None:
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.open(**STRIPS, range="1-2")
    expect(view.at("written")).not_to_be_empty()  # the picture has what the network writes
    view.page.keyboard.press("e")
    view.at("share-link").click()
    expect(view.at("share-result")).to_have_text("Copied.")
    link = view.page.evaluate("navigator.clipboard.readText()")
    picture = view.picture().pixels
    view.page.goto(link)
    expect(view.at("cursor-text")).not_to_be_empty()
    eventually(lambda: np.testing.assert_array_equal(view.picture().pixels, picture))


def test_link_of_a_long_text_says_that_it_holds_none(view: View) -> None:
    view.open(view="network", run="counter", text="aaXbb\n" * 400)
    view.at("share-button").click()
    expect(view.at("share")).to_contain_text("The text is too long for a link")
    assert "stored=" in view.at("share-address").input_value()


def test_dialog_opens_by_key_button_command_and_touch(view: View, browser: Browser, origins: set[str]) -> None:
    view.open(**STRIPS)
    for opened in ("key", "button", "command"):
        if opened == "key":
            view.page.keyboard.press("e")
        elif opened == "button":
            view.at("share-button").click()
        else:
            view.page.keyboard.press("Control+k")
            view.page.keyboard.type("svg")
            view.page.keyboard.press("Enter")
        expect(view.at("share")).to_be_visible()
        view.page.keyboard.press("Escape")
        expect(view.at("share")).to_be_hidden()
    with watched_page(browser, origins, phone=True) as page:
        phone = View(page, view.address, view.runs)
        phone.open(**STRIPS)
        phone.at("page-menu").tap()
        phone.at("share-button").tap()
        expect(phone.at("share")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        with page.expect_download() as downloading:
            phone.at("share-csv").tap()
        assert content_of(downloading.value)[0].endswith(".csv")
        phone.at("share-close").tap()
        expect(phone.at("share")).to_be_hidden()


# --- live files ------------------------------------------------------------------------------------------------------


def test_live_file_opens_with_the_view(view: View, browser: Browser, origins: set[str], tmp_path: Path) -> None:
    share(view, **STRIPS, range="1-2")
    picture = view.picture()
    view.at("share-disclose").click()
    expect(view.at("share-leaves")).to_contain_text(f"the text of this view: {len(TEXT)} characters")
    name, content = saved(view, "share-live")
    assert name.endswith(".html")
    assert str(view.runs).encode() not in content
    (tmp_path / "file.html").write_bytes(content)
    with watched_page(browser, origins) as page:
        live = View(page, "", view.runs)
        page.goto((tmp_path / "file.html").as_uri())
        expect(live.at("places")).to_be_visible()
        assert live.picture().steps == len(TEXT)
        assert live.picture().colour(3, 4) == picture.colour(3, 4)
        # The file is passed on as it is, also with another view.
        page.keyboard.press("e")
        expect(live.at("share")).to_contain_text("This page is a live file already")
        _, copy = saved(live, "share-own")
        (tmp_path / "copy.html").write_bytes(copy)
        page.goto((tmp_path / "copy.html").as_uri())
        expect(live.at("places")).to_be_visible()
        page.keyboard.press("e")
        names, rows = table(saved(live, "share-layer")[1])
        values = view.recorded("counter", TEXT).layers["layer0"]["h"].T
        np.testing.assert_allclose(values_of(names, rows, "layer0.h"), values, rtol=0, atol=1e-6)


def test_what_leaves_the_machine_has_no_path(view: View) -> None:
    view.open()
    answers = view.page.evaluate(
        """async (address) => {
            const send = (body) => fetch(address, {
                method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
            })
            const answer = await send({ text: null, address: '', disclose: true })
            return [answer.status, await answer.json()]
        }""",
        f"{view.address}/api/runs/counter/live",
    )
    assert answers[0] == 200
    assert answers[1]["name"] == "counter"
    assert json.dumps(answers[1]).find(str(view.runs)) < 0
