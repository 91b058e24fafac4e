"""Self-contained pages of sentences with their entities coloured: their templates, and what these share."""

from __future__ import annotations

from functools import cache
from importlib import resources

import jinja2


@cache
def page(name: str) -> jinja2.Template:
    """A page's template; values are escaped in it, in scripts too."""
    folder = resources.files("toner_jax.evaluation")
    loader = jinja2.FunctionLoader(lambda file: folder.joinpath(file).read_text(encoding="utf-8"))
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": True}
    return environment.get_template(name)
