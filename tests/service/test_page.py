"""The service's page in a real browser, without a screen."""

from __future__ import annotations

import json
import shutil
import time

import pytest
from serving import Model, running

from toner_jax.commands import app

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"),
]
TEXT = "The Ajax sank. 😀 Then the Ajax rose."


class Moved(Model):
    """Finds nothing where δ is above 0.9."""

    def recognize(self, sentences, schema, threshold, type_threshold, *, explain=False):
        found, matched = super().recognize(sentences, schema, threshold, type_threshold, explain=explain)
        blind = type_threshold is not None and type_threshold > 0.9
        return ([r.above(1.0) for r in found] if blind else found), matched


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address():
    with running(Moved()) as (found, _):
        yield found


@pytest.fixture
def page(browser, address):
    context = browser.new_context(accept_downloads=True)
    found = context.new_page()
    complaints, asked = [], []
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    found.on("request", lambda request: asked.append(request.url))
    found.goto(address)
    found.wait_for_selector("body[data-drawn]")
    found.fill("#text", TEXT)
    found.keyboard.press("Control+Enter")
    found.wait_for_selector("#result mark")
    yield found
    assert complaints == []
    assert all(url.startswith((address, "data:", "blob:")) for url in asked), "it reaches out"
    context.on("dialog", lambda dialog: dialog.accept())
    context.close()


def marks(page) -> list[str]:
    """The label of each mark, with its score where the model gave one."""
    return page.locator("#result mark > small").all_inner_texts()


def set_slider(page, name: str, value: float) -> None:
    page.locator(f"#{name}").evaluate(
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", value
    )


def wait_until(holds) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_entities_are_marked_with_their_scores(page):
    assert marks(page) == ["ship score 0.720"] * 2
    assert page.inner_text("#changed").startswith("2 entities")
    assert "only a test" in page.inner_text("#note")
    assert page.inner_text("#bars").split() == ["ship", "0.750", "town", "0.500"]


def test_thresholds_and_what_they_change(page):
    set_slider(page, "threshold", 0.9)
    assert marks(page) == []
    assert page.inner_text("#changed") == "0 entities; gone: Ajax (ship), Ajax (ship)"
    set_slider(page, "threshold", 0.5)
    assert page.inner_text("#changed") == "2 entities; new: Ajax (ship), Ajax (ship)"
    set_slider(page, "delta", 0.95)  # which only the model can answer
    wait_until(lambda: marks(page) == [])
    assert page.locator(".bar.below").count() == 2


def test_labels_of_ones_own(page):
    page.fill("#name", "vessel")
    page.fill("#description", "what floats")
    page.keyboard.press("Enter")
    wait_until(lambda: page.locator("#labels li").count() == 3)
    page.click("#labels button[aria-label='remove ship']")
    wait_until(lambda: page.locator("#labels li").count() == 2)
    page.click("#labels button[aria-label='remove town']")
    wait_until(lambda: marks(page) == ["vessel score 0.720"] * 2)
    assert page.locator("#labels button").is_disabled()  # the last one stays
    page.click("#trained")
    wait_until(lambda: marks(page) == ["ship score 0.720"] * 2)


def test_corrections_are_saved_as_lines_to_train_with(page, tmp_path):
    page.locator("#result mark").first.focus()
    page.keyboard.press("Enter")
    page.click("#choices button:has-text('town')")
    assert marks(page) == ["town", "ship score 0.720"]
    page.locator("#result mark").nth(1).focus()
    page.keyboard.press("Delete")
    assert marks(page) == ["town"]
    set_slider(page, "delta", 0.2)  # the model is asked again; corrections stay
    wait_until(lambda: page.inner_text("#delta_is") == "0.20" and page.locator("#result.busy").count() == 0)
    page.wait_for_timeout(400)
    assert marks(page) == ["town"]
    # By a selection in the text, after a character that JavaScript counts twice.
    page.locator("#text").evaluate(
        "(e) => { const at = e.value.indexOf('rose'); e.focus(); e.setSelectionRange(at, at + 5); }"
    )
    page.select_option("#as", "ship")
    page.click("#mark")
    # And by one in what was found, over an entity's label.
    page.locator("#result").evaluate(
        """(root) => {
          const range = document.createRange();
          range.setStart(root.firstChild, 0);
          range.setEnd(root.querySelector('mark').firstChild, 4);
          getSelection().removeAllRanges();
          getSelection().addRange(range);
        }"""
    )
    page.select_option("#as", "town")
    page.click("#mark")
    page.click("#keep")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "train.jsonl")
    [row] = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    assert row["text"] == TEXT
    assert [(TEXT[e["start"] : e["end"]], e["label"]) for e in row["entities"]] == [
        ("The Ajax", "town"),
        ("Ajax", "town"),
        ("rose.", "ship"),
    ]
    page.click("#undo")
    wait_until(lambda: marks(page) == ["ship score 0.720"] * 2)


def test_corrections_wait_for_who_comes_back(page):
    page.locator("#result mark").first.focus()
    page.keyboard.press("Delete")
    assert len(marks(page)) == 1
    for text, count in (("Rain.", 0), (TEXT, 1)):
        page.fill("#text", text)
        page.keyboard.press("Control+Enter")
        wait_until(lambda text=text: page.inner_text("#result").startswith(text[:3]))
        wait_until(lambda count=count: len(marks(page)) == count)


def test_what_is_saved_can_be_trained_with(page, tmp_path, capsys):
    page.click("#keep")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "train.jsonl")
    data = [f"--config.data.dir={tmp_path}", "--config.data.format=jsonl", "--splits=train", "--json"]
    assert app.main(["stats", "--config=custom", *data]) == 0
    assert json.loads(capsys.readouterr().out)["train"]["entities"] == 2


def test_markup_stays_text(page):
    hostile = "<img src=x onerror=alert(1)> Ajax <b>bold</b>"
    page.fill("#text", hostile)
    page.keyboard.press("Control+Enter")
    wait_until(lambda: "bold" in page.inner_text("#result"))
    assert page.locator("#result img, #result b").count() == 0
    page.fill("#name", "<b>label</b>")
    page.keyboard.press("Enter")
    wait_until(lambda: page.locator("#labels li").count() == 3)
    assert page.locator("#labels b").count() == 0


def test_a_token_is_asked_for(browser):
    with running(Model(), token="s3cret") as (address, _):
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#token:not([hidden])")
        page.fill("#secret", "s3cret")
        page.keyboard.press("Enter")
        page.wait_for_selector("#result mark, #changed:not(:empty)")
        assert page.locator("#token").is_hidden()
        page.close()


def test_a_service_that_is_gone_is_said(browser):
    with running(Model()) as (address, _):
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("body[data-drawn]")
    page.click("#find")
    page.wait_for_selector("#failed:not([hidden])")
    assert page.inner_text("#failed") == "The service does not answer."
    page.close()


@pytest.mark.parametrize(("width", "columns"), [(390, 1), (1280, 2)])
def test_it_fits_the_screen(browser, address, width, columns):
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(address)
    page.wait_for_selector("body[data-drawn]")
    assert page.evaluate_handle("document.documentElement.scrollWidth").json_value() <= width
    boxes = [page.locator(f"section.{name}").bounding_box()["x"] for name in ("asked", "answer")]
    assert len(set(boxes)) == columns
    page.close()
