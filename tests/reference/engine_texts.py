"""What Python reads in texts, vocabularies and older formats of network.json, and how it writes numbers.

`scripts/write-engine-fixtures` writes them before the tests of the page.
"""

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from gatescope import Vocabulary
from gatescope.cells import CELLS
from gatescope.configuration import Configuration, Layer
from gatescope.errors import GatescopeError
from tests.reference.engine_shapes import SEED, SHAPES

PIECES = (
    *(
        "a",
        "b",
        "B",
        "月",
        "é",
        "e\u0301",
        "😀",
        "👩\u200d💻",
        "\u0e01\u0e33",
        "\u0e44\u0e17\u0e22",
        "हिन्दी",
        "中文",
        "カタ",
        "한국",
    ),
    *(
        " ",
        "  ",
        "\t",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\v",
        "\x1c",
        "\x85",
        "\xa0",
        "\u2028",
        "\u3000",
        "\ufeff",
        "\u200b",
    ),
    *(
        ".",
        ",",
        "-",
        "'",
        "\u2019",
        "_",
        "don't",
        "x-ray",
        "A1",
        "3.14",
        "İ",
        "ß",
        "Σ",
        "\ud800",
        "\udc00",
        "\x00",
        "\x7f",
    ),
)
VOCABULARIES = (
    Vocabulary(("a", "b", "月", "😀", " ", "\n")),
    Vocabulary(("a", "b", "月", "\n"), end="\n", other="a"),
    Vocabulary(("é", "😀", "a"), end="😀"),
    Vocabulary.of_bytes(),
    Vocabulary.of_bytes("\n"),
    Vocabulary(("a", "b", "中", "don't", "é", ".", "i̇", "<unk>"), unit="word", other="<unk>"),
    Vocabulary(("a", "b", "中文", "x-ray", "."), end=".", unit="word"),
    Vocabulary(("a", "3", "中文", "हिन्दी", "\n"), end="\n", unit="word", rule=1),
    Vocabulary(("a", "b", "ab", "-"), unit="token"),
    Vocabulary(("a", "ab", "|", "."), end=".", unit="token", other="|"),
)
NUMERALS = (
    *(
        "1",
        "-1.5",
        "+2.",
        ".5",
        "1e3",
        "1E-3",
        "1_000",
        "1__0",
        "_1",
        "1_",
        "1_.5",
        "1._5",
        "0x10",
        "1e",
        "e1",
        ".",
        "-",
    ),
    *("inf", "nan", "Infinity", "1e39", "3.4028235e38", "-3.4028234e38", "1d3", "--1", "1e+05", "00012", "1,2", "1;2"),
    *("1\t2", "1 , 2", ",", "1 2 3", "1\x1c2", "1\u30002", "\ufeff1", "0.1", "16777217", "1e-45", "1e-46"),
)


def write_texts(folder: Path) -> None:
    """Write how Python cuts, encodes and labels texts, which characters it knows, and how it writes numbers."""
    random = np.random.default_rng(SEED)
    texts = ["", " ", "\n", "\n\n", *PIECES]
    texts += ["".join(random.choice(PIECES, size=count)) for count in random.integers(2, 30, size=150)]
    # JSON joins two surrogates to one character; Python does not.
    texts = [json.loads(json.dumps(text)) for text in texts]
    cases = []
    for vocabulary in VOCABULARIES:
        for text in texts:
            labels = vocabulary.labels(text)
            ids = vocabulary.encode(text)
            cases.append(
                dict(
                    vocabulary=vocabulary.to_json(),
                    text=text,
                    parts=vocabulary.split(text),
                    ids=ids.tolist(),
                    labels=labels,
                    unknown=vocabulary.unknown_in(text),
                    decoded=vocabulary.decode(ids),
                )
            )
    bits = random.integers(0, 1 << 32, size=3000, dtype=np.uint32).view(np.float32)
    powers = [2.0**k for k in range(-149, 128)] + [10.0**k for k in range(-44, 39)]
    values = np.array([*bits[np.isfinite(bits)], *powers, *range(-30, 30), 0.1, 1 / 3, -0.0], np.float32)
    generals = [float(value) for value in (*random.normal(size=50), *(10.0 ** random.uniform(-12, 12, size=200)), 0.0)]
    content = dict(
        cases=cases,
        numerals=[dict(text=text, rows=_rows_or_none(text)) for text in NUMERALS],
        characters=_characters(),
        labels=Vocabulary(("x",), unit="number").labels(values[:, None]),
        generals=[[value, f"{value:.3g}", repr(value)] for value in generals],
        formats=_formats(),
    )
    (folder / "texts.bin").write_bytes(save({"values": values}, {"index": json.dumps(content)}))


def _rows_or_none(text: str) -> list[list[float]] | None:
    """Return the numbers of a text of two numbers a line, or of one; None if neither reads it."""
    for names in (("x", "y"), ("x",)):
        try:
            return Vocabulary(names, unit="number").encode(text).tolist()
        except GatescopeError:
            continue
    return None


def _characters() -> dict[str, list[Any]]:
    """Return the code points that are letters or digits, and white space; and those whose small letter differs."""
    points = [point for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
    return dict(
        assigned=_ranges([point for point in points if unicodedata.category(chr(point)) != "Cn"]),
        word=_ranges([point for point in points if re.fullmatch(r"\w", chr(point))]),
        space=_ranges([point for point in points if re.fullmatch(r"\s", chr(point))]),
        lower=[[point, chr(point).lower()] for point in points if chr(point).lower() != chr(point)],
    )


def _ranges(points: list[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for point in points:
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return ranges


def _formats() -> list[dict[str, Any]]:
    """Return network.json in its older formats, and what Python reads in it."""
    made = []
    for shape in SHAPES:
        layers = tuple(Layer(CELLS["gru"], **layer) for layer in shape.layers)
        configuration = Configuration(shape.vocabulary, layers, shape.embedding, 0.0, shape.readout, shape.hidden)
        newest = configuration.to_json()
        without_hidden = {**{k: v for k, v in newest.items() if k != "hidden"}, "format": 2}
        first = {k: v for k, v in without_hidden.items() if k != "readout"} | dict(
            format=1, outputs=None, reads="last step"
        )
        for data in (newest, without_hidden, first, {**first, "outputs": 3, "reads": "every step"}):
            if data["format"] == 1 and data["outputs"] is None and shape.vocabulary.unit == "number":
                continue
            read = Configuration.from_json(data)
            about = dict(names=read.names, inputs=read.inputs, predicted=read.predicted, levels=read.levels)
            made.append(dict(network=data, about=about | dict(readout=read.readout.to_json())))
    return made
