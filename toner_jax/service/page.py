"""The page's files, as the service answers with them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

from fastapi import Response

_FILES = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css")}
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:"
PATHS = (*_FILES, "/page.js")


def file(path: str) -> Callable[[], Any]:
    """What answers with a part of the page."""
    own = resources.files("toner_jax.service")
    if path == "/page.js":  # with what marks entities in reports, too
        marks = resources.files("toner_jax.evaluation").joinpath("marks.js")
        content, kind = marks.read_bytes() + own.joinpath("page.js").read_bytes(), "text/javascript"
    else:
        name, kind = _FILES[path]
        content = own.joinpath(name).read_bytes()
        if kind == "text/css":
            content = resources.files("toner_jax.evaluation").joinpath("sentences.css").read_bytes() + content
    headers = {
        "content-security-policy": _POLICY,
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
    }

    async def answer() -> Response:
        return Response(content, 200, headers, kind)

    return answer
