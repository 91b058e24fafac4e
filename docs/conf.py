"""The documentation site, made of these pages by Sphinx: `make site`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import toner_jax

# The notebook calls toner-jax as one does in a terminal.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

project = "toner_jax"
author = "the authors of toner_jax"
copyright = "2026, the authors of toner_jax; Apache-2.0"
version = release = toner_jax.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
html_theme = "furo"
html_title = "toner_jax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
highlight_language = "none"  # of blocks that name none: commands
default_role = "code"  # of `names` in docstrings
html_copy_source = False
html_show_sourcelink = False

myst_heading_anchors = 3
myst_enable_extensions = ["attrs_block"]
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_merge_streams = True  # one block of output a cell
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_show_tb = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes are documented once, where the class is

# The pages are read in the repository, too: what lies beside docs/ there has a page of its own here.
_BESIDE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def _within(app: Any, path: Path, parent: str, content: list[str]) -> None:
    """Links of a file that lies above docs/ and is included in a page there."""
    text = re.sub(r"\]\(docs/", "](", content[0])
    for name, page in _BESIDE.items():
        text = text.replace(f"]({name}", f"]({page}")
    content[0] = text


def _upwards(app: Any, page: str, content: list[str]) -> None:
    """Links of a page to a file above docs/."""
    for name, target in _BESIDE.items():
        content[0] = content[0].replace(f"](../{name}", f"]({target}")


def setup(app: Any) -> None:
    app.connect("include-read", _within)
    app.connect("source-read", _upwards)
