"""The report page: complete, self-contained, and safe against what texts may hold."""

from __future__ import annotations

import json
import re

import pytest

from toner_jax.evaluation import calibration, html_report, scoring
from toner_jax.schema import Entity, EntityType, Schema, make_sentence

SCHEMA = Schema("s", (EntityType("person", "People."), EntityType("place", "Places.")))


@pytest.fixture(scope="module")
def page() -> str:
    sentences = [
        make_sentence(
            "a", ["Ann", "</script>", "Bo"], [Entity(0, 1, "person"), Entity(2, 3, "place")], SCHEMA
        ),
        make_sentence("b", ["rain", "&", "<b>"], [], SCHEMA),
    ]
    predicted = [[(Entity(0, 1, "person"), 0.9), (Entity(2, 3, "person"), 0.4)], []]
    entities = [[e for e, _ in row] for row in predicted]
    scores = scoring.evaluate(sentences, entities, [[("person", "Ann")], []], SCHEMA)
    zero = scoring.Counts().to_json()
    judged = calibration.judge(sentences, [[(e, s, 1.0) for e, s in row] for row in predicted])
    fitted = {"temperature": 1.7, "ece_before": 0.25, "ece_after": 0.125}
    report = {
        "split": "test", **scores, "seen_in_training": zero, "unseen_in_training": zero, "dropped": {"truncated": 3},
        "scores": {"temperature": 1.7, "fitted": fitted, "threshold": 0.0, **calibration.describe_scores(judged)},
        "alignment_ceiling": 0.98, "baselines": {"memorised_mentions": zero, "type_prior": zero},
        "types": {**zero, "on_empty_sentences": {"sentences": 1, "with_false_types": 0, "mean_false_types": 0.0}},
    }  # fmt: skip
    metrics = [
        {"stage": "generator", "step": 1, "loss": 2.0},
        {"stage": "generator", "step": 2, "loss": 1.0},
        {"stage": "generator", "step": 2, "dev_f1": 0.5},
    ]
    return html_report.render(
        report, SCHEMA, sentences, predicted, [("person",), ()], title="T <1>", metrics=metrics,
        similarities=[[0.9, 0.8], [0.1, 0.2]], threshold=0.5,
    )  # fmt: skip


def _rows(page: str) -> list[dict]:
    return json.loads(re.search(r"^const rows = (.*);$", page, re.MULTILINE)[1])


def test_rows_carry_spans_in_characters_and_their_errors(page):
    first, second = _rows(page)
    assert first["text"] == "Ann </script> Bo"
    assert first["gold"] == [[0, 3, "person", "correct"], [14, 16, "place", "type"]]
    assert first["predicted"] == [[0, 3, "person", "correct", 0.9], [14, 16, "person", "type", 0.4]]
    assert first["errors"] == ["type"]
    assert (second["gold"], second["types"], second["errors"]) == ([], [], [])


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
    assert "Temperature 1.700, fitted on dev: calibration error 0.2500 before, 0.1250 after." in text
