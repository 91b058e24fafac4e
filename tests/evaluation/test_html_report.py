"""The report page: complete, self-contained, and safe against what texts may hold."""

from __future__ import annotations

import json
import re
import sys

import pytest

from toner_jax.evaluation import calibration, html_report, mistakes, scoring
from toner_jax.evaluation.calibration_temperature import Fitted
from toner_jax.evaluation.evaluated import Evaluated
from toner_jax.evaluation.report import EntityScores, MatchedTypes, Report
from toner_jax.schema import Entity, EntityType, Schema, make_sentence
from toner_jax.tasks.recognized import Recognized, Score

SCHEMA = Schema("s", (EntityType("person", "People."), EntityType("place", "Places.")))


LABEL = [[0, 4, "place"], [6, 9, "person"], [17, 21, "place"]]
SUSPECTS = [
    {"suspect": "place", "kind": "doubtful", "margin": 9.0, "text": "Lima, Ann <b> in Oslo", "label": LABEL},
    *({"suspect": "date", "kind": "missing", "margin": 8.0, "text": "Ann", "label": [[0, 3, "person"]]},)
    * 24,
]
ATTRIBUTION = {
    "matcher": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "errors": {"type": 1, "missed": 2}},
    "gold": {"precision": 0.75, "recall": 0.5, "f1": 0.6, "errors": {"type": 1, "missed": 0}},
}


@pytest.fixture(scope="module")
def page() -> str:
    return _render()


def _render() -> str:
    sentences = [
        make_sentence(
            "a", ["Ann", "</script>", "Bo"], [Entity(0, 1, "person"), Entity(2, 3, "place")], SCHEMA
        ),
        make_sentence("b", ["rain", "&", "<b>"], [], SCHEMA),
    ]
    one, other = Entity(0, 1, "person"), Entity(2, 3, "person")
    found = [
        Recognized(
            (one, other), (Score(0.9, 1.0), Score(0.4, 1.0)), {("person", "Ann"): Score(0.9, 1.0)}, ""
        ),
        Recognized((), (), {}, ""),
    ]
    fitted = Fitted(1.7, None, None, ece_before=0.25, ece_after=0.125)
    evaluated = Evaluated(
        "test", sentences, found, matched=[("person",), ()], calibration_temperature=1.7, fitted=fitted
    )
    zero = scoring.Counts()
    report = Report(
        split="test",
        scores=scoring.evaluate(sentences, [r.entities for r in found], [r.items for r in found], SCHEMA),
        seen=zero,
        unseen=zero,
        dropped={"truncated": 3},
        entity_scores=EntityScores(1.7, fitted, 0.0, calibration.describe_scores(evaluated.judged())),
        alignment_ceiling=0.98,
        memorised=zero,
        mistakes=mistakes.overview(evaluated),
        types=MatchedTypes(zero, {"sentences": 1, "with_false_types": 0, "mean_false_types": 0.0}, zero),
        also_in={"train": 1, "dev": 0},
    )
    metrics = [
        {"stage": "generator", "step": 1, "loss": 2.0},
        {"stage": "generator", "step": 2, "loss": 1.0},
        {"stage": "generator", "step": 2, "dev_f1": 0.5},
    ]
    starts = [
        {"started": f"start {i}", "command": ["toner-jax", f"a b<{i}>"], "commit": None} for i in range(7)
    ]
    starts.append({"started": "start 7", "processes": 2})
    similarities = [[0.9, 0.8], [0.1, 0.2]]
    page = html_report.Page(
        "T <1>", metrics, similarities, type_threshold=0.5, starts=starts, suspects=SUSPECTS, others=["dev"]
    )
    figures = {**report.to_json(), "attribution": ATTRIBUTION}
    return html_report.render(figures, evaluated, SCHEMA, page)


def _rows(page: str) -> list[dict]:
    return json.loads(re.search(r"^const rows = (.*);$", page, re.MULTILINE)[1])


def test_rows_carry_spans_in_characters_and_their_errors(page):
    first, second = _rows(page)
    assert first["text"] == "Ann </script> Bo"
    assert first["gold"] == [[0, 3, "person", "correct"], [14, 16, "place", "type"]]
    assert first["predicted"] == [[0, 3, "person", "correct", 0.9], [14, 16, "person", "type", 0.4]]
    assert first["errors"] == ["type"]
    assert first["confusions"] == ["place → person"]
    assert (second["gold"], second["types"], second["errors"]) == ([], [], [])


def test_mistakes_are_shown(page):
    text = re.sub(r"\s+", " ", page)
    assert '<td>place</td><td>person</td><td><a href="#confusion=place+%E2%86%92+person">1</a></td>' in text
    assert '<th scope="row"><a href="#error=type">type</a></th><td>1</td>' in text
    assert (
        "<td>0.400</td><td>type</td><td><b>Bo</b> person</td><td><b>Bo</b> place</td>"
        "<td>Ann &lt;/script&gt; Bo</td>" in text
    )


def test_the_clearest_suspects_are_shown(page):
    shown = page.split("Suspect annotations of train")[1].split("</table>")[0]
    assert "25 in all" in shown
    rows = re.findall(
        r"<tr><td>([\d.]+)</td><td><b>(.*?)</b></td><td>(\w+)</td><td>(.*?)</td><td>(.*?)</td></tr>", shown
    )
    assert len(rows) == 20
    assert rows[0] == ("9.00", "place", "doubtful", "Lima, Oslo", "Lima, Ann &lt;b&gt; in Oslo")
    assert rows[1] == ("8.00", "date", "missing", "–", "Ann")


def test_the_last_starts_are_shown(page):
    shown = page.split('class="starts"')[1].split("</table>")[0]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', shown)
    found = {name: re.findall("<td>(.*?)</td>", cells) for name, cells in rows}
    assert found == {
        "started": [f"start {i}" for i in range(3, 8)],
        "command": [f"toner-jax &#39;a b&lt;{i}&gt;&#39;" for i in range(3, 7)] + ["–"],
        "commit": ["–"] * 5,
        "processes": ["–"] * 4 + ["2"],
    }


def test_whose_errors_they_are(page):
    rows = re.findall(r'<tr><th scope="row">([^<]*)</th>((?:<td>[^<]*</td>){4})</tr>', page)
    found = {name: re.findall("<td>(.*?)</td>", cells) for name, cells in rows}
    assert found["of the type matcher"] == ["0.5000", "0.5000", "0.5000", "3"]
    assert found["from the gold annotation, an oracle"] == ["0.7500", "0.5000", "0.6000", "1"]


def test_what_is_to_be_known_stands_above_the_figures(page):
    before = page.split('class="tiles"')[0]
    assert "1 of the 2 sentences also stand in train, word for word" in before
    assert "also stand in dev" not in before
    assert '<a href="dev.html">dev</a>' in before


def test_what_has_no_support_has_a_dash(page):
    rows = dict(re.findall(r'<th scope="row">([^<]*)</th>\s*<td>(.*?)</td>', page))
    assert rows["strict spans"] == "0.5000"
    assert rows["strings never seen"] == rows["baseline: memorised mentions"] == "–"


def test_headers_have_a_scope_and_pictures_a_name(page):
    assert len(re.findall("<th[ >]", page)) == len(re.findall('<th scope="(?:row|col)"', page))
    assert len(re.findall('<svg role="img" aria-label="[^"]{20,}" ', page)) == page.count("<svg")


def test_texts_cannot_end_the_script_or_become_markup(page):
    assert page.count("</script>") == 1
    assert "<b>" not in page.split("<script>")[1]
    assert "T &lt;1&gt;" in page


def test_the_page_shows_curves_and_loads_nothing(page):
    assert (
        page.count("<svg") == 4
    )  # the scores' two, the generator's and the histogram; no matcher was logged
    assert "δ = 0.500" in page
    assert "best F1 0.667, at 0.65" in page
    assert not re.search(r"""(src|href)=["']\s*https?:|@import|url\(http""", page)


def test_the_page_says_how_far_scores_can_be_trusted(page):
    """One of two is right, at 0.9; the other's type is wrong, at 0.4."""
    text = " ".join(page.split())
    assert "<td>joint: the entity is right</td><td>0.2500</td><td>0.0850</td>" in text
    assert "<td>span: right, where the type is</td><td>0.0000</td><td>0.0000</td>" in text
    assert (
        "Calibration temperature 1.700, fitted on dev: calibration error 0.2500 before, 0.1250 after." in text
    )


def test_without_matplotlib_the_page_has_no_pictures(monkeypatch, said):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = _render()
    assert "<svg" not in page
    assert "Calibration temperature 1.700" in " ".join(page.split())
    assert said() == ["matplotlib is not installed: the report is without pictures"]
