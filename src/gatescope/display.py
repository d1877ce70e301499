"""HTML of objects in a notebook: small tables in which every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

MAX_CELL_CHARACTERS = 200  # of one value in a table


def fields_html(title: str, fields: Mapping[str, object]) -> str:
    """Return a title and the named properties of one object, each on a line of its own.

    Args:
        title: what the object is, such as "Trace".
        fields: name -> value.
    """
    lines = "".join(f"<div>{_text(name)}: {_text(value)}</div>" for name, value in fields.items())
    return f"<div><strong>{_text(title)}</strong></div>{lines}"


def table_html(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Return a table.

    Args:
        header: the titles of the columns.
        rows: the values of each row.
    """
    titles = "".join(f"<th>{_text(title)}</th>" for title in header)
    lines = "".join("<tr>" + "".join(f"<td>{_text(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def _text(value: object) -> str:
    text = str(value)
    if len(text) > MAX_CELL_CHARACTERS:
        text = f"{text[: MAX_CELL_CHARACTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
    return escape(text)
