"""Findings: views of a run that somebody kept, each with one sentence. They stand in findings.json of the run.

A view is what the address of the page holds, without the run: name -> text, or a list of texts for a parameter that
occurs several times.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatescope.files import write_json
from gatescope.runs.edited_json import FORMAT, edits, read_entries
from gatescope.runs.run_errors import RunError, file_errors

FINDINGS = "findings.json"
MAX_FINDINGS = 200
MAX_SENTENCE_CHARACTERS = 500
MAX_VIEW_BYTES = 100_000  # of its JSON: a text of 20,000 characters has up to 80,000 bytes
MAX_FINDINGS_BYTES = 4 << 20  # of the file
MAX_PARAMETERS = 40
MAX_VALUES = 100  # of one parameter, such as `hold`

View = Mapping[str, str | tuple[str, ...]]
"""Name -> value of each parameter of the address, without `run`."""


@dataclass(frozen=True)
class Finding:
    """A view that somebody kept, with a sentence.

    Attributes:
        id: 12 hexadecimal digits that no other finding of the run has.
        view: the parameters of the page's address, without the run.
        sentence: what is to be seen there.
        created: when it was kept, as in "2026-01-31T12:00:00Z".
    """

    id: str
    view: View
    sentence: str
    created: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        view = {name: list(value) if isinstance(value, tuple) else value for name, value in self.view.items()}
        return {"id": self.id, "view": view, "sentence": self.sentence, "created": self.created}

    @classmethod
    def from_json(cls, data: Any) -> Finding:
        """Return the finding in a JSON object.

        Args:
            data: the JSON value.

        Raises:
            RunError: a field is missing, unknown, or has a value that no finding has.
        """
        if not isinstance(data, dict) or set(data) != {"id", "view", "sentence", "created"}:
            raise RunError("FINDING_FIELDS")
        if not isinstance(data["id"], str) or not re.fullmatch("[0-9a-f]{12}", data["id"]):
            raise RunError("FINDING_ID")
        created = data["created"]
        if not isinstance(created, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created):
            raise RunError("FINDING_TIME")
        return cls(data["id"], checked_view(data["view"]), checked_sentence(data["sentence"]), created)


def checked_sentence(sentence: Any) -> str:
    """Return a sentence without white space around it.

    Args:
        sentence: a JSON value.

    Raises:
        RunError: it is no text, empty, too long, or has control characters such as a line break.
    """
    text = sentence.strip() if isinstance(sentence, str) else ""
    is_plain = not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)
    if not text or len(text) > MAX_SENTENCE_CHARACTERS or not is_plain:
        raise RunError("FINDING_SENTENCE", limit=MAX_SENTENCE_CHARACTERS)
    return text


def checked_view(view: Any) -> View:
    """Return a view.

    Args:
        view: a JSON value: an object parameter -> text, or a list of texts.

    Raises:
        RunError: it is something else or too large, or it names a run.
    """
    is_view = isinstance(view, Mapping) and len(view) <= MAX_PARAMETERS
    if not is_view or not all(_is_parameter(name, value) for name, value in view.items()):
        raise RunError("FINDING_VIEW", limit=MAX_VIEW_BYTES)
    checked = {name: value if isinstance(value, str) else tuple(value) for name, value in view.items()}
    if len(json.dumps(checked, ensure_ascii=False).encode()) > MAX_VIEW_BYTES:
        raise RunError("FINDING_VIEW", limit=MAX_VIEW_BYTES)
    return checked


def _is_parameter(name: Any, value: Any) -> bool:
    """Return whether this is a parameter of an address of the page, other than its run."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(text, str) for text in values):
        return False
    is_name = isinstance(name, str) and re.fullmatch("[a-z][a-z_]{0,29}", name) is not None and name != "run"
    has_surrogates = any("\ud800" <= character <= "\udfff" for character in "".join(values))
    return is_name and len(values) <= MAX_VALUES and not has_surrogates


def read_findings(run: Path) -> list[Finding]:
    """Return the findings of a run in their order.

    Args:
        run: the run directory.

    Raises:
        RunError: findings.json cannot be read, is too large, damaged or of a newer version.
    """
    path = run / FINDINGS
    entries = read_entries(path, "findings", MAX_FINDINGS_BYTES)
    if len(entries) > MAX_FINDINGS:
        raise RunError("FINDINGS_DAMAGED", path=path, reason=f"{len(entries)} findings")
    findings = []
    for number, entry in enumerate(entries):
        try:
            findings.append(Finding.from_json(entry))
        except RunError as error:
            raise RunError("FINDINGS_DAMAGED", path=path, reason=f"finding {number}: {error}") from error
    if len({finding.id for finding in findings}) < len(findings):
        raise RunError("FINDINGS_DAMAGED", path=path, reason="two findings with one id")
    return findings


def write_findings(run: Path, findings: list[Finding]) -> None:
    """Replace the findings of a run.

    Args:
        run: the run directory.
        findings: the findings.

    Raises:
        RunError: there are too many of them, or the file cannot be written.
    """
    content = {"format": FORMAT, "findings": [finding.to_json() for finding in findings]}
    nbytes = len(json.dumps(content, ensure_ascii=False, indent=1).encode()) + 1
    if len(findings) > MAX_FINDINGS or nbytes > MAX_FINDINGS_BYTES:
        raise RunError("FINDINGS_TOO_MANY", limit=MAX_FINDINGS, limit_bytes=MAX_FINDINGS_BYTES)
    with file_errors(run / FINDINGS):
        write_json(run / FINDINGS, content)


def add_finding(run: Path, view: Any, sentence: Any) -> Finding:
    """Keep a view with a sentence, after the other findings.

    Args:
        run: the run directory.
        view: the parameters of the page's address, without the run.
        sentence: what is to be seen there.

    Raises:
        RunError: the view or the sentence cannot be kept, or the file cannot be written.
    """
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    finding = Finding(secrets.token_hex(6), checked_view(view), checked_sentence(sentence), created)
    with edits(run):
        write_findings(run, [*read_findings(run), finding])
    return finding


def restore_finding(run: Path, finding: Finding, position: int) -> None:
    """Undo the removal of a finding. A finding that is in the run already stays where it is.

    Args:
        run: the run directory.
        finding: the finding.
        position: its place among the others, from 0 on.

    Raises:
        RunError: the file cannot be written.
    """
    with edits(run):
        findings = read_findings(run)
        if all(other.id != finding.id for other in findings):
            findings.insert(max(0, position), finding)
            write_findings(run, findings)


def change_finding(run: Path, finding_id: str, sentence: Any) -> Finding:
    """Replace the sentence of a finding.

    Args:
        run: the run directory.
        finding_id: the id of the finding.
        sentence: the new sentence.

    Raises:
        RunError: there is no such finding, or the sentence cannot be kept.
    """
    text = checked_sentence(sentence)
    with edits(run):
        findings = read_findings(run)
        position = _position_of(findings, finding_id)
        old = findings[position]
        findings[position] = Finding(old.id, old.view, text, old.created)
        write_findings(run, findings)
        return findings[position]


def move_finding(run: Path, finding_id: str, position: int) -> None:
    """Move a finding to another place among the others.

    Args:
        run: the run directory.
        finding_id: the id of the finding.
        position: its new place, from 0 on; a place beyond the end is the last one.

    Raises:
        RunError: there is no such finding.
    """
    with edits(run):
        findings = read_findings(run)
        finding = findings.pop(_position_of(findings, finding_id))
        findings.insert(max(0, position), finding)
        write_findings(run, findings)


def remove_finding(run: Path, finding_id: str) -> tuple[Finding, int]:
    """Remove a finding, and return it with its place.

    Args:
        run: the run directory.
        finding_id: the id of the finding.

    Raises:
        RunError: there is no such finding.
    """
    with edits(run):
        findings = read_findings(run)
        position = _position_of(findings, finding_id)
        finding = findings.pop(position)
        write_findings(run, findings)
        return finding, position


def _position_of(findings: list[Finding], finding_id: str) -> int:
    for position, finding in enumerate(findings):
        if finding.id == finding_id:
            return position
    raise RunError("FINDING_UNKNOWN", count=len(findings))
