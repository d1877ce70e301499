"""The HTML of a live file: one document that holds everything and connects to nothing.

Everything large is compressed, written in base64 and unpacked by a short script. The content security policy of the
document allows no other inline script, by its hash. Texts of the run stand in the compressed data alone, and the
name of the run in the title, escaped.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import json
from base64 import b64encode

from gatescope.explorer.live.container import FORMAT
from gatescope.explorer.live.program import Program
from gatescope.messages import Message
from gatescope.messages.languages import LANGUAGES, in_language
from gatescope.version import __version__

DATA_MARK = b'<script type="application/json" id="gatescope-data">'
END_MARK = b"</script>"
GZIP_LEVEL = 9
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0}"
    ".gatescope-notice{margin:2rem;max-width:40rem}"
    "[hidden]{display:none}"
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{mark}<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="gatescope {version}">
<title>{title}</title>
<link rel="icon" href="data:image/svg+xml;base64,{icon}">
<style>{style}</style>
<script>{boot}</script>
</head>
<body>
<div id="page"></div>
<noscript><p class="gatescope-notice">{no_script}</p></noscript>
<p class="gatescope-notice" id="gatescope-old-browser" hidden>{old_browser}</p>
<p class="gatescope-notice" id="gatescope-damaged" hidden>{damaged}</p>
"""


def packed(content: bytes) -> str:
    """Return bytes as base64 of gzip, the same for the same bytes."""
    return b64encode(gzip.compress(content, GZIP_LEVEL, mtime=0)).decode("ascii")


def live_page(title: str, data: bytes, program: Program, host: str | None = None) -> bytes:
    """Return the HTML of a live file.

    Args:
        title: the name of the run.
        data: the container.
        program: the program.
        host: the mark of the host that shows the document (web/src/hosts/host-mark.ts); None for a file.
    """
    return page_of(title, packed(data), len(data), program, host)


def page_of(title: str, block: str, size: int, program: Program, host: str | None = None) -> bytes:
    """Return the HTML of a live file whose data are packed already.

    Args:
        title: the name of the run.
        block: the container, as `packed` returns it.
        size: the bytes of the container.
        program: the program.
        host: the mark of the host, as in `live_page`.
    """
    boot = program.boot.decode("utf-8").strip()
    head = PAGE.format(
        policy=policy(boot, STYLE),
        version=__version__,
        mark="" if host is None else host_mark(host),
        title=html.escape(f"{title} · gatescope"),
        icon=b64encode(program.icon).decode("ascii"),
        style=STYLE,
        boot=boot,
        no_script=sentence("LIVE_PAGE_NO_SCRIPT"),
        old_browser=sentence("LIVE_PAGE_OLD_BROWSER"),
        damaged=sentence("LIVE_PAGE_DAMAGED"),
    )
    fields = json.dumps({"format": FORMAT, "bytes": size, "data": block}, separators=(",", ":"))
    sections = [head, f"{DATA_MARK.decode()}{fields}{END_MARK.decode()}"]
    sections.append(f'<script type="text/plain" id="gatescope-unpack">{packed(program.unpack)}</script>')
    base64 = b64encode(program.packed).decode("ascii")
    sections.append(f'<script type="text/plain" id="gatescope-program">{base64}</script>')
    notices = html.escape(program.notices.decode("utf-8"), quote=False)
    sections.append(f'<template id="gatescope-notices"><pre>\n{notices}</pre></template>\n</body>\n</html>\n')
    return "\n".join(sections).encode("utf-8")


def host_mark(host: str) -> str:
    """Return the element that tells the page which host shows it.

    Args:
        host: "site" or "notebook".
    """
    return f'<meta name="gatescope-host" content="{host}">\n'


def policy(script: str, style: str) -> str:
    """Return the content security policy of a document with one inline script and one inline style sheet.

    Args:
        script: the script.
        style: the style sheet.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {source_hash(script)} blob: 'wasm-unsafe-eval'",
            f"style-src {source_hash(style)}",
            "img-src data: blob:",
            "worker-src blob:",
            "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def source_hash(content: str) -> str:
    """Return the source of a content security policy that allows an inline script or style sheet.

    Args:
        content: the script or style sheet.
    """
    digest = b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def sentence(code: str) -> str:
    """Return the sentence of a code as HTML, in every language: it is shown before the page knows its own.

    Args:
        code: the code.
    """
    lines = []
    for language in LANGUAGES:
        with in_language(language):
            lines.append(f'<span lang="{language}">{html.escape(str(Message(code)), quote=False)}</span>')
    return "<br>".join(lines)
