"""Acts: what the page writes, each by a POST with the token of this start.

Everything else that the server does only reads the runs. An act names a run of the list, which is looked up and never
joined to a path, and changes nothing outside the folder of the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gatescope.explorer.gallery import Gallery
from gatescope.explorer.requests import Field, RequestError, parse_request, quoted
from gatescope.explorer.star_markdown import markdown
from gatescope.runs import Run
from gatescope.runs.moves import delete_run, deleted_runs, rename_run, restore_run
from gatescope.runs.run_findings import (
    Finding,
    add_finding,
    change_finding,
    move_finding,
    read_findings,
    remove_finding,
    restore_finding,
)
from gatescope.runs.tags import change_tags

TEXT = Field(str)
TEXTS = Field(str, default=(), is_list=True, max_items=100)

STAR_ACTS = {
    "add": {"view": Field(dict), "sentence": TEXT},
    "change": {"id": TEXT, "sentence": TEXT},
    "move": {"id": TEXT, "position": Field(int)},
    "remove": {"id": TEXT},
    "restore": {"star": Field(dict), "position": Field(int)},
}
"""The acts on the stars of a run, with the fields of their requests."""


class Acts:
    """Carries out the acts of the page, one at a time."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._lock = threading.Lock()
        self._of_run: dict[str, Callable[[Run, Any], dict[str, Any]]] = {
            "stars": self._stars,
            "rename": self._rename,
            "tags": self._tags,
            "delete": self._delete,
        }

    def act(self, name: str, act: str, data: Any) -> dict[str, Any]:
        """Carry out an act on a run.

        Args:
            name: the name of the run in the list.
            act: "stars", "rename", "tags" or "delete".
            data: the JSON of the request.

        Raises:
            RequestError: there is no such run, the run must not be changed, or a field cannot be used.
            RunError: the act is refused; nothing has changed.
        """
        with self._lock:
            run = self._run(name)
            self._gallery.check_writable(run)
            return self._of_run[act](run, data)

    def stars(self, name: str) -> dict[str, Any]:
        """Return the views that somebody kept with a star: findings.json of a run.

        Args:
            name: the name of the run in the list.

        Raises:
            RequestError: there is no such run.
            RunError: the findings cannot be read.
        """
        return _stars_json(self._run(name))

    def markdown(self, name: str, address: str) -> str:
        """Return the views that somebody kept with a star as Markdown.

        Args:
            name: the name of the run in the list.
            address: the address of this explorer.

        Raises:
            RequestError: there is no such run.
            RunError: the findings cannot be read.
        """
        return markdown(name, read_findings(self._run(name).path), address)

    def _run(self, name: str) -> Run:
        run = self._gallery.runs().get(name)
        if run is None:
            raise RequestError("EXPLORER_RUN_UNKNOWN", status=404, run=quoted(name))
        return run

    def trash(self) -> dict[str, Any]:
        """Return the deleted runs of all folders, the last deleted one first.

        Raises:
            RunError: a trash cannot be read.
        """
        deleted = [run for folder in self._gallery.folders() for run in deleted_runs(folder)]
        return {"runs": [run.to_json() for run in sorted(deleted, key=lambda run: run.id, reverse=True)]}

    def restore(self, data: Any) -> dict[str, Any]:
        """Take a run out of the trash: undo a deletion.

        Args:
            data: the JSON of the request: `id`, and perhaps another `name`.

        Raises:
            RequestError: a field cannot be used.
            RunError: no such run is in the trash, or its name is taken.
        """
        fields = parse_request("restore", data, {"id": TEXT, "name": Field(str, default=None, nullable=True)})
        with self._lock:
            folder = self._folder_of_deleted(fields["id"])
            restored = restore_run(folder, fields["id"], fields["name"])
            return {"name": self._gallery.name_of(restored)}

    def _folder_of_deleted(self, entry_id: str) -> Path:
        folders = self._gallery.folders()
        if not folders:
            raise RequestError("ACT_NO_FOLDER", status=409)
        return next(
            (folder for folder in folders if any(run.id == entry_id for run in deleted_runs(folder))), folders[0]
        )

    def _stars(self, run: Run, data: Any) -> dict[str, Any]:
        act = data.get("act") if isinstance(data, dict) else None
        if not isinstance(act, str) or act not in STAR_ACTS:
            raise RequestError(
                "REQUEST_FIELD_VALUE",
                endpoint="stars",
                field="act",
                expected=", ".join(STAR_ACTS),
                value=quoted(act),
            )
        rest = {name: value for name, value in data.items() if name != "act"}
        fields = parse_request(f"stars ({act})", rest, STAR_ACTS[act])
        more: dict[str, Any] = {}
        if act == "add":
            more["id"] = add_finding(run.path, fields["view"], fields["sentence"]).id
        elif act == "change":
            change_finding(run.path, fields["id"], fields["sentence"])
        elif act == "move":
            move_finding(run.path, fields["id"], fields["position"])
        elif act == "remove":
            removed, position = remove_finding(run.path, fields["id"])
            more["removed"] = {"star": removed.to_json(), "position": position}
        else:
            restore_finding(run.path, Finding.from_json(fields["star"]), fields["position"])
        return _stars_json(run) | more

    def _rename(self, run: Run, data: Any) -> dict[str, Any]:
        name = parse_request("rename", data, {"name": TEXT})["name"]
        self._gallery.check_movable(run)
        return {"name": self._gallery.name_of(rename_run(run.path, name))}

    def _tags(self, run: Run, data: Any) -> dict[str, Any]:
        fields = parse_request("tags", data, {"add": TEXTS, "remove": TEXTS})
        return {"tags": change_tags(run.path, fields["add"], fields["remove"])}

    def _delete(self, run: Run, data: Any) -> dict[str, Any]:
        parse_request("delete", data, {})
        self._gallery.check_movable(run)
        return {"deleted": delete_run(run.path).to_json()}


def _stars_json(run: Run) -> dict[str, Any]:
    return {"stars": [finding.to_json() for finding in read_findings(run.path)]}
