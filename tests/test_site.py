"""The documentation site: built without a warning, its notebook run, its links whole, nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tiny import ROOT

pytestmark = pytest.mark.slow

for needed in ("sphinx", "myst_nb", "furo", "ipykernel"):
    pytest.importorskip(needed)


class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag in ("script", "img", "source", "iframe") and given.get("src"):
            self.loaded.append(given["src"])
        elif tag == "link" and given.get("rel") != "canonical":
            self.loaded.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> dict[Path, Page]:
    folder = tmp_path_factory.mktemp("site")
    program = [
        sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(folder / "made"),
        str(ROOT / "docs"), str(folder / "html"),
    ]  # fmt: skip
    # Its models are trained as users train them: programs without XLA's optimizations would take far longer to run.
    env = {name: value for name, value in os.environ.items() if name != "JAX_DISABLE_MOST_OPTIMIZATIONS"}
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr  # Jupyter has warnings of its own there
    pages = sorted((folder / "html").rglob("*.html"))
    return {page: Page(page.read_text(encoding="utf-8")) for page in pages}


def test_every_page_is_there(site):
    made = {page.stem for page in site}
    assert made >= {page.stem for page in (ROOT / "docs").rglob("*.md")} | {"tutorial"}


def test_links_lead_somewhere(site):
    broken = []
    for page, what in site.items():
        for link in what.links + what.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            found = target.exists() and (
                not parts.fragment
                or target.suffix != ".html"
                or unquote(parts.fragment) in site[target].anchors
            )
            if not found:
                broken.append(f"{page.name}: {link}")
    assert not broken
    assert sum(len(what.links) for what in site.values()) > 500


def test_nothing_is_loaded_from_elsewhere(site):
    assert [link for what in site.values() for link in what.loaded if urlsplit(link).netloc] == []


def test_the_tutorial_was_run_and_its_model_finds_what_training_never_named(site):
    (page,) = (p for p in site if p.stem == "tutorial")
    text = re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))
    (strict,) = re.findall(r"strict spans +│ +[\d.]+ │ +[\d.]+ │ +([\d.]+)", text)[:1]
    (memorised,) = re.findall(r"memorised mentions +│ +[\d.]+ │ +[\d.]+ │ +([\d.]+)", text)[:1]
    assert float(strict) > 0.7 > 0.2 > float(memorised)
    for name in ("Ivan Borcalski", "Wanderer", "Zephyr"):  # of the first look, of show, and of predict's file
        assert name in text


def test_the_interface_is_described(site):
    (page,) = (p for p in site if p.stem == "api")
    assert site[page].anchors >= {
        "toner_jax.load", "toner_jax.Ner.predict", "toner_jax.Ner.match_types", "toner_jax.Ner.stream",
        "toner_jax.Schema", "toner_jax.PredictedEntity", "toner_jax.UserError", "toner_jax.client.Client.predict",
        "toner_jax.losses.type_matching_loss",
    }  # fmt: skip
