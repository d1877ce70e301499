"""Read the page as a person does: its texts, and the colours on its canvas.

`N` neuron, `T` step.
"""

import base64
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, Position, expect

from gatescope import Run, record

Colour = tuple[int, int, int]

# The copy is made for reading: Chromium complains on the console about reading any other canvas.
SNAPSHOT = """async (canvas) => {
  for (let k = 0; k < 2; k++) await new Promise(requestAnimationFrame)
  const copy = new OffscreenCanvas(canvas.width, canvas.height)
  const pen = copy.getContext('2d', { willReadFrequently: true })
  pen.drawImage(canvas, 0, 0)
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height)
  let bytes = ''
  for (let k = 0; k < data.length; k += 32768) bytes += String.fromCharCode(...data.subarray(k, k + 32768))
  const scroller = canvas.closest('[data-testid=strips]')
  return {
    width: canvas.width, height: canvas.height, data: btoa(bytes), ...canvas.dataset,
    left: Math.round(scroller?.scrollLeft ?? 0), top: Math.round(scroller?.scrollTop ?? 0),
  }
}"""


def eventually(check: Callable[[], object], seconds: float = 90) -> None:
    """Wait until `check` no longer fails; raise its last failure if it never succeeds.

    `check` must call the page before it fails: only during its calls does Playwright receive events, such as a new
    `page.url`.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            check()
            return
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def formula(place: Locator) -> str:
    """Return the formulas in an element, as a screen reader reads them."""
    return " ".join(place.locator("math").evaluate_all("(all) => all.map((one) => one.getAttribute('alttext'))"))


def expect_formula(place: Locator, expected: str) -> None:
    """Wait until the formulas in an element contain a text."""

    def check() -> None:
        assert expected in formula(place)

    eventually(check)


@dataclass(frozen=True)
class Picture:
    """A snapshot of the canvas of the strips, and the layout of its cells.

    Attributes:
        pixels: (height, width, 3), 0 to 255.
        cell: width of a step; `pitch`: from row to row; `label`: width of the labels; `header`: height above the rows.
        rows: of strips, in sight or not; `steps`: of the text.
        left: how far it is scrolled; `top`: likewise.
    """

    pixels: NDArray[np.int64]
    cell: int
    pitch: int
    label: int
    header: int
    rows: int
    steps: int
    left: int
    top: int

    def corner(self, row: int, step: int) -> tuple[int, int]:
        """Return x and y of the upper left corner of a cell."""
        return self.label + step * self.cell - self.left, self.header + row * self.pitch - self.top

    def patch(self, row: int, step: int) -> NDArray[np.int64]:
        """Return the pixels of a cell without the line after it, (pixels, 3)."""
        x, y = self.corner(row, step)
        width = self.cell - 1 if self.cell > 6 else self.cell
        return self.pixels[y : y + min(self.pitch - 2, 16), x : x + width].reshape(-1, 3)

    def colour(self, row: int, step: int) -> Colour:
        """Return the commonest colour of a cell, on which a character may stand."""
        colours, counts = np.unique(self.patch(row, step) @ (65536, 256, 1), return_counts=True)
        commonest = int(colours[counts.argmax()])
        return commonest >> 16, commonest >> 8 & 255, commonest & 255

    def cells(self) -> list[tuple[int, int]]:
        """Return row and step of every cell that is entirely in sight."""
        height, width, _ = self.pixels.shape
        steps = range(-(-self.left // self.cell), (width - self.label + self.left) // self.cell)
        rows = range(-(-self.top // self.pitch), (height - self.header + self.top) // self.pitch)
        return [(row, step) for row in rows for step in steps if row < self.rows and step < self.steps]

    def columns(self, top: int, bottom: int, step: int) -> NDArray[np.int64]:
        """Return the pixels of the column of a step between two heights, (bottom - top, cell, 3)."""
        x, _ = self.corner(0, step)
        return self.pixels[top:bottom, x : x + self.cell]


def pixels(snapshot: dict[str, Any]) -> NDArray[np.int64]:
    """Return the pixels of a SNAPSHOT, (height, width, 3)."""
    data = np.frombuffer(base64.b64decode(snapshot["data"]), np.uint8)
    return data.reshape(snapshot["height"], snapshot["width"], 4)[:, :, :3].astype(np.int64)


@dataclass(frozen=True)
class Recorded:
    """The trace of a text: the steps of all its sequences, one after the other.

    Attributes:
        layers: "layer0" -> signal -> (N, T).
        top: for each step the symbols that were predicted next, with their probabilities.
        log_probability: (T,), of what came.
    """

    layers: dict[str, dict[str, NDArray[np.float32]]]
    top: list[list[tuple[str, float]]]
    log_probability: NDArray[np.float32]


def recorded(run: Path, text: str) -> Recorded:
    """Record a text with the weights of a run."""
    trace = record(Run(run).network()[0], text)
    parts = [trace.sequence(k) for k in range(len(trace.lengths))]
    layers = {
        layer: {name: np.concatenate([part[layer][name][0].T for part in parts], axis=1) for name in trace[layer]}
        for layer in trace.layers
    }
    symbols = trace.vocabulary.symbols
    top = [
        [(symbols[token], float(probability)) for token, probability in zip(tokens, probabilities, strict=True)]
        for part in parts
        for tokens, probabilities in zip(part.steps["top_token"][0], part.steps["top_probability"][0], strict=True)
    ]
    return Recorded(layers, top, np.concatenate([part.steps["log_probability"][0] for part in parts]))


class View:
    """One page of the explorer."""

    def __init__(self, page: Page, address: str, runs: Path) -> None:
        self.page, self.address, self.runs = page, address, runs

    def at(self, name: str) -> Locator:
        """Return the element with a data-testid."""
        return self.page.get_by_test_id(name)

    def open(self, **query: Any) -> None:
        """Follow a link; if it has a text, wait until the text is drawn."""
        self.page.goto(f"{self.address}/?{urlencode(query)}" if query else self.address)
        if query.get("view") and query.get("text") != "":
            expect(self.at("cursor-text")).not_to_be_empty()

    def unfold(self, menu: str) -> None:
        """Open the box of a button; a box that is open stays so."""
        if not self.at(f"{menu}-box").is_visible():
            self.at(menu).click()
        expect(self.at(f"{menu}-box")).to_be_visible()

    def recorded(self, run: str, text: str) -> Recorded:
        """Record a text with the weights of one of the runs."""
        return recorded(self.runs / run, text)

    def picture(self) -> Picture:
        """Return the canvas of the strips."""
        snapshot = self.at("strips-canvas").evaluate(SNAPSHOT)
        names = ("cell", "pitch", "label", "header", "rows", "steps", "left", "top")
        return Picture(pixels(snapshot), **{name: int(snapshot[name]) for name in names})

    def position(self, row: int, step: int) -> Position:
        """Return the middle of a cell, in pixels of the canvas."""
        layout = self.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
        left, top = self.at("strips").evaluate("(scroller) => [scroller.scrollLeft, scroller.scrollTop]")
        label, cell, header, pitch = (int(layout[name]) for name in ("label", "cell", "header", "pitch"))
        return {"x": label + (step + 0.5) * cell - left, "y": header + (row + 0.5) * pitch - top}

    def point(self, row: int, step: int) -> None:
        """Move the pointer over a cell, and wait for the cursor."""
        self.at("strips-canvas").hover(position=self.position(row, step))
        expect(self.at("cursor-text")).to_contain_text(f"step {step} ·")

    def click(self, row: int, step: int) -> None:
        """Click a cell."""
        self.at("strips-canvas").click(position=self.position(row, step))

    def panel(self) -> dict[str, float]:
        """Return the full value of every signal in the panel."""
        values = self.at("neuron-panel").locator("[data-testid^=panel-value-]")
        pairs = values.evaluate_all("(all) => all.map((one) => [one.dataset.testid, one.title])")
        return {name.removeprefix("panel-value-"): float(value) for name, value in pairs}

    def variable(self, name: str) -> Colour:
        """Return a colour of the style of the page, such as --bg."""
        # A variable may name two colours, of which the browser chooses one only where it is used.
        value = self.page.evaluate(
            """(name) => {
                const probe = document.body.appendChild(document.createElement('i'))
                probe.style.color = `var(${name})`
                const { color } = getComputedStyle(probe)
                probe.remove()
                return color
            }""",
            name,
        )
        parts = re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", value)
        assert parts is not None, value
        red, green, blue = map(int, parts.groups())
        return red, green, blue

    def legend(self) -> "Legend":
        """Return the printed scale of the strips."""
        legend = self.at("legend")
        style = legend.locator(".colours").evaluate("(one) => getComputedStyle(one).backgroundImage")
        stops = np.array([[int(part) for part in stop] for stop in re.findall(r"rgb\((\d+), (\d+), (\d+)\)", style)])
        low, high = (float(legend.get_attribute(name) or "nan") for name in ("data-low", "data-high"))
        return Legend(low, high, stops)


@dataclass(frozen=True)
class Legend:
    """A printed scale.

    Attributes:
        low: the value at its left end; `high`: at its right end.
        stops: the colours from left to right, (stops, 3).
    """

    low: float
    high: float
    stops: NDArray[np.int64]

    def colour(self, value: float) -> NDArray[np.float64]:
        """Return the colour of a value."""
        at = (value - self.low) / (self.high - self.low) * (len(self.stops) - 1)
        places = np.arange(len(self.stops))
        return np.array([np.interp(at, places, self.stops[:, channel]) for channel in range(3)])
