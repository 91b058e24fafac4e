"""The component of spaCy's pipelines."""

from __future__ import annotations

import tomllib
from itertools import pairwise

import pytest
import tiny

spacy = pytest.importorskip("spacy")

import toner_jax  # noqa: E402
import toner_jax.spacy_component  # noqa: E402  (where the package's entry points are not installed)
from toner_jax.errors import UserError  # noqa: E402

TEXTS = [
    "Judge Ivan Borcalski married Professor Jaman in Selqua in 1973 .",
    "",
    "Rain .",
    "A statue of Mayor Lenzo-Cavel stands in West Zomi, beside the empty factory.",
]


@pytest.fixture(scope="module")
def nlp():
    pipeline = spacy.blank("en")
    pipeline.add_pipe("toner_jax", config={"model": "quickstart"})
    return pipeline


@pytest.mark.slow
def test_it_sets_what_predict_finds(nlp):
    ner = toner_jax.load("quickstart")
    for doc, text, found in zip(nlp.pipe(TEXTS, batch_size=2), TEXTS, ner.predict(TEXTS), strict=True):
        assert doc.text == text
        group = doc.spans["toner_jax"]
        assert len(group) == len(group.attrs["scores"]) == len(found)
        for span, score in zip(group, group.attrs["scores"], strict=True):
            (entity,) = [e for e in found if (e.start, e.label) == (span.start_char, span.label_)]
            assert score == pytest.approx(entity.score, abs=1e-4)
            assert span.text.startswith(entity.text)  # it may end inside a token
        assert all(a.end <= b.start for a, b in pairwise(doc.ents))
        assert {e.label_ for e in doc.ents} <= set(ner.schema.names)
    assert [e.text for e in nlp(TEXTS[0]).ents] == ["Ivan Borcalski", "Jaman", "Selqua", "1973"]


def test_overlapping_entities_leave_the_likelier_to_ents(nlp, monkeypatch):
    from toner_jax.inference.predicted import PredictedEntity as Entity

    component = nlp.get_pipe("toner_jax")
    found = [
        Entity(start=0, end=3, text="The", label="x", score=0.2),
        Entity(start=0, end=11, text="The Ajax sa", label="x", score=0.6),  # ends inside a token
        Entity(start=4, end=8, text="Ajax", label="y", score=0.9),
        Entity(start=9, end=13, text="sank", label="y", score=0.1),
    ]
    monkeypatch.setattr(component, "_ner", type("Fake", (), {"predict": lambda *_, **__: [found]})())
    doc = nlp("The Ajax sank .")
    assert [(s.text, s.label_) for s in doc.spans["toner_jax"]] == [
        ("The", "x"), ("The Ajax sank", "x"), ("Ajax", "y"), ("sank", "y")
    ]  # fmt: skip
    assert doc.spans["toner_jax"].attrs["scores"] == [0.2, 0.6, 0.9, 0.1]
    assert [(e.text, e.label_) for e in doc.ents] == [("The", "x"), ("Ajax", "y"), ("sank", "y")]


@pytest.mark.slow
def test_a_pipeline_is_saved_and_read(nlp, tmp_path):
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    assert again.config["components"]["toner_jax"]["model"] == "quickstart"
    assert [e.text for e in again(TEXTS[0]).ents] == [e.text for e in nlp(TEXTS[0]).ents]


@pytest.mark.slow
def test_options_reach_the_model():
    pipeline = spacy.blank("en")
    config = {"model": "quickstart", "threshold": 1.0}
    pipeline.add_pipe("toner_jax", name="found", config=config)
    doc = pipeline(TEXTS[0])
    assert (len(doc.ents), len(doc.spans["found"])) == (0, 0)
    asked = spacy.blank("en")
    asked.add_pipe("toner_jax", config={"model": "quickstart", "labels": {"person": "Names of people."}})
    assert {e.label_ for e in asked(TEXTS[0]).ents} <= {"person"}


@pytest.mark.slow
def test_entities_of_other_components_stay():
    def pipeline(**config):
        made = spacy.blank("en")
        ruler = made.add_pipe("entity_ruler")
        patterns = [
            {"label": "verb", "pattern": "married"},
            {"label": "title", "pattern": "Judge Ivan Borcalski"},
        ]
        ruler.add_patterns(patterns)
        made.add_pipe("toner_jax", config={"model": "quickstart", **config})
        return [(e.text, e.label_) for e in made(TEXTS[0]).ents]

    found = pipeline()
    assert {("married", "verb"), ("Judge Ivan Borcalski", "title"), ("Selqua", "location")} <= set(found)
    assert ("Ivan Borcalski", "person") not in found
    found = pipeline(overwrite_ents=True)
    assert {("married", "verb"), ("Ivan Borcalski", "person")} <= set(found)
    assert ("Judge Ivan Borcalski", "title") not in found


def test_a_forked_process_is_refused(nlp, monkeypatch):
    component = nlp.get_pipe("toner_jax")
    assert nlp.pipe_labels["toner_jax"] == list(component.labels)
    assert "person" in component.labels
    monkeypatch.setattr(component, "_process", -1)
    with pytest.raises(UserError, match="JAX does not survive a fork"):
        nlp(TEXTS[0])


def test_a_model_has_to_be_named():
    with pytest.raises(UserError, match=r"name a model: nlp\.add_pipe"):
        spacy.blank("en").add_pipe("toner_jax")


def test_the_package_says_that_it_has_one():
    """So that spaCy finds it by its name."""
    project = tomllib.loads((tiny.ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["spacy_factories"] == {"toner_jax": "toner_jax.spacy_component:make"}
    assert spacy.registry.factories.get("toner_jax") is not None
