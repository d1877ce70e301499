"""The findings of a run as Markdown: its views and sentences, with an address of the page for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlencode

from gatescope.messages import Message
from gatescope.runs import Finding

MAX_QUERY_CHARACTERS = 3000  # of an encoded text in the query of an address; a longer one stands after the "#"
MAX_TEXT_CHARACTERS = 1000  # of a text that is printed
PLACES = ("layer", "signal", "neuron", "step", "feature", "range", "hold")


def markdown(name: str, findings: Sequence[Finding], address: str) -> str:
    """Return the findings of a run as Markdown.

    Args:
        name: the name of the run.
        findings: its findings.
        address: the address of the explorer, such as "http://127.0.0.1:8791/".
    """
    lines = [f"# {Message('FINDINGS_TITLE', run=escaped(name))}", ""]
    for number, finding in enumerate(findings, 1):
        mark = f"{number}. "
        indent = " " * len(mark)
        lines += [f"{mark}{escaped(finding.sentence)}", ""]
        place = ", ".join(place_of(finding)) or str(Message("FINDINGS_VIEW"))
        lines += [f"{indent}[{escaped(place)}]({address_of(name, finding, address)}) ({finding.created[:10]})", ""]
        text = finding.view.get("text")
        if isinstance(text, str) and text:
            shown = text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:MAX_TEXT_CHARACTERS]} …"
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
            lines += [
                f"{indent}{fence}text",
                *(f"{indent}{line}" for line in shown.splitlines()),
                f"{indent}{fence}",
                "",
            ]
    return "\n".join(lines)


def place_of(finding: Finding) -> list[str]:
    """Return what a finding shows, such as "layer0" and "neuron 4"."""
    place = []
    for name in PLACES:
        value = finding.view.get(name)
        if value is not None:
            text = value if isinstance(value, str) else " ".join(value)
            place.append(text if name in ("layer", "signal") else f"{name} {text}")
    return place


def address_of(name: str, finding: Finding, address: str) -> str:
    """Return the address of the page that shows a finding.

    Args:
        name: the name of the run.
        finding: the finding.
        address: the address of the explorer.
    """
    view = {"run": name, **finding.view}
    text = urlencode({"text": view["text"]}) if "text" in view else ""
    fragment = ""
    if len(text) > MAX_QUERY_CHARACTERS:
        del view["text"]
        fragment = f"#{text}"
    return f"{address}?{urlencode(view, doseq=True)}{fragment}"


def escaped(text: str) -> str:
    """Return a text in which Markdown and HTML find no marks of their own, on one line."""
    return re.sub(r"([\\`*_{}\[\]()#+.!|<>~&-])", r"\\\1", re.sub(r"\s+", " ", text))
