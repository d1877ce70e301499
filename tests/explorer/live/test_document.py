"""The HTML of a live file: texts stay text, the policy lets nothing in, and its scripts are those that were built."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from gatescope.explorer.live import LiveOptions, live_run
from gatescope.explorer.live.page_file import live_page
from gatescope.explorer.live.program import STATIC, program
from gatescope.runs import HISTORY, SAMPLES, Run
from tests.explorer.live.examples import HOSTILE, PROGRAM, read_apart, unpack_apart


class Elements(HTMLParser):
    """The elements of a document: (name, attributes, text)."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.is_open = False
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), ""))
        self.is_open = True

    def handle_endtag(self, tag: str) -> None:
        self.is_open = False

    def handle_data(self, data: str) -> None:
        if self.is_open:
            tag, attributes, text = self.elements[-1]
            self.elements[-1] = (tag, attributes, text + data)

    def named(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, text) for name, attributes, text in self.elements if name == tag]


def page_of(run: Run) -> bytes:
    return live_page(run.name, live_run(run, LiveOptions()).container().to_bytes(), PROGRAM)


def test_hostile_texts_add_no_element(runs: Path, copy_of: Callable[[str], Run]) -> None:
    """A name, a sample, an error and a note that close scripts and open comments leave the elements as they are."""
    run = copy_of("text")
    run.append(SAMPLES, {"step": 30, "temperature": 0.7, "text": HOSTILE})
    run.append(HISTORY, {"step": 30, "event": "end", "reason": "failed", "problem": HOSTILE})
    renamed = Run(run.path.rename(run.path.with_name(HOSTILE.replace("/", "∕"))))
    usual, hostile = Elements(page_of(Run(runs / "text"))), Elements(page_of(renamed))
    assert [tag for tag, _, _ in hostile.elements] == [tag for tag, _, _ in usual.elements]
    assert hostile.named("title")[0][1].startswith(renamed.name)
    assert HOSTILE.encode() not in page_of(renamed)
    (live,) = read_apart(page_of(renamed))[0]["runs"]
    assert live["run"]["samples"][-1]["text"] == HOSTILE
    assert live["run"]["name"] == renamed.name
    assert "script><script>alert(1)" in live["run"]["problem"]


def test_lone_surrogates_become_question_marks(copy_of: Callable[[str], Run]) -> None:
    run = copy_of("text")
    with (run.path / SAMPLES).open("a", encoding="ascii") as file:
        file.write('{"step": 31, "temperature": 0.7, "text": "a\\ud800b"}\n')
    samples = read_apart(page_of(run))[0]["runs"][0]["run"]["samples"]
    assert all("\ud800" not in sample["text"] for sample in samples)


def test_policy_allows_the_scripts_of_the_file_alone(runs: Path) -> None:
    elements = Elements(page_of(Run(runs / "counter")))
    (policy,) = (
        attributes["content"]
        for attributes, _ in elements.named("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    hashes = {
        tag: [
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for attributes, text in elements.named(tag)
            if "type" not in attributes
        ]
        for tag in ("script", "style")
    }
    assert rules == {
        "default-src": ["'none'"],
        "script-src": [*hashes["script"], "blob:", "'wasm-unsafe-eval'"],
        "style-src": hashes["style"],
        "img-src": ["data:", "blob:"],
        "worker-src": ["blob:"],
        "connect-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


def test_page_names_no_address_but_data(runs: Path) -> None:
    addresses = [
        value
        for _, attributes, _ in Elements(page_of(Run(runs / "counter"))).elements
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data", "srcset")
    ]
    assert [str(address).split(",")[0] for address in addresses] == ["data:image/svg+xml;base64"]


def test_program_is_unpacked_as_it_was_built(runs: Path) -> None:
    elements = Elements(page_of(Run(runs / "counter")))
    blocks = {attributes["id"]: text for attributes, text in elements.named("script") if "id" in attributes}
    assert gzip.decompress(base64.b64decode(blocks["gatescope-unpack"])) == PROGRAM.unpack
    assert base64.b64decode(blocks["gatescope-program"]) == PROGRAM.packed
    boot = (Path(__file__).parents[3] / "web/live/boot.ts").read_text(encoding="utf-8")
    assert set(re.findall(r"'(gatescope-[\w-]+)'", boot)) <= {
        *blocks,
        *(str(attributes.get("id")) for attributes, _ in elements.named("p")),
    }


def test_notices_can_be_read_in_the_file(runs: Path) -> None:
    (_, notices), *_ = Elements(page_of(Run(runs / "counter"))).named("pre")
    assert PROGRAM.notices.decode() in notices


def test_built_program_is_complete_and_names_its_licences() -> None:
    """The committed build has every part, and the licence of each package in it; a live file shows them."""
    built = program()
    notices = built.notices.decode("utf-8")
    for words in (
        "svelte",
        "Svelte Contributors",
        "lzma1",
        "Permission is hereby granted",
        "LLVM Exceptions",
        "wasi-libc",
    ):
        assert words in notices
    page, *others = unpack_apart(built.packed)
    names = ("explorer.css", "worker.js", "kernels.wasm", "kernels-relaxed.wasm", "messages-zh.json")
    assert others == [(STATIC / name).read_bytes() for name in names]
    assert b"import(" not in page
    assert b"</script" not in built.boot
    document = live_page("run", b"", built)
    (_, shown), *_ = Elements(document).named("pre")
    assert notices in shown
