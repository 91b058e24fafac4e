"""The finer annotation of the generated corpus, by rules of its own."""

import re
from collections import Counter

import pytest

from toner_jax.data.corpora.generated import generate
from toner_jax.data.corpora.generated_types import FINE

COARSE = {
    "athlete": "person", "dignitary": "person", "private person": "person", "namesake": "person",
    "company": "organization", "school": "organization", "institution": "organization", "club": "organization",
    "town": "location", "region": "location", "landscape": "location",
    "numbered model": "product", "product": "product",
    "contest": "event", "meeting": "event", "historic event": "event",
    "day": "date", "month": "date", "year": "date", "decade": "date",
}  # fmt: skip
SPORT = {
    "striker",
    "goalkeeper",
    "runner",
    "swimmer",
    "captain",
    "defender",
    "champion",
    "coach",
    "Coach",
    "final",
}
# What mentions of a type look like, whatever wrote them.
FORMS = {
    "year": r"\d{4}",
    "decade": r"the \d{3}0s",
    "month": r"[A-Za-z]+ \d{4}",
    "numbered model": r".*\d.*",
    "historic event": r"(Battle|Siege|Treaty|Congress) of .*",
    "landscape": r".*(Lake|Mount|Valley|Bay|Island|Heights|Park|Falls).*",
    "school": r".*(University|College|Polytechnic|Academy|Law School).*",
}


@pytest.fixture(scope="module")
def both():
    sizes = {"train": 3_000}
    return generate(0, sizes)["train"], generate(0, sizes, fine=True)["train"]


def test_the_same_sentences_and_spans(both):
    assert {t.name for t in FINE.types} == COARSE.keys()
    for coarse, fine in zip(*both, strict=True):
        assert (coarse.id, coarse.words) == (fine.id, fine.words)
        spans = [[(e.start, e.end, COARSE.get(e.type, e.type)) for e in s.entities] for s in (coarse, fine)]
        assert sorted(spans[0]) == sorted(spans[1])


def test_every_type_is_common_enough_to_learn(both):
    counts = Counter(e.type for s in both[1] for e in s.entities)
    assert counts.keys() == COARSE.keys()
    assert min(counts.values()) >= 50


def test_types_of_form(both):
    for s in both[1]:
        for e in s.entities:
            if e.type in FORMS:
                assert re.fullmatch(FORMS[e.type], s.surface(e)), (e.type, s.surface(e))


def test_types_of_context(both):
    seen = Counter()
    for s in both[1]:
        for e in s.entities:
            before = s.words[e.start - 1] if e.start else ""
            inside = any(o != e and o.start <= e.start and e.end <= o.end for o in s.entities)
            if COARSE[e.type] == "person":
                assert (e.type == "namesake") == inside
            if e.type == "dignitary":
                assert before in {
                    "Dr.", "Professor", "Judge", "Captain", "Mayor", "Senator", "General", "Mr.", "Mrs."
                }  # fmt: skip
            if before in ("Coach", "striker", "goalkeeper", "swimmer"):
                assert e.type == "athlete"
            seen[e.type] += 1
        if any(e.type == "athlete" for e in s.entities):
            assert {"club", "contest"} & set(s.types()) or SPORT & set(s.words)
    assert seen["private person"] > seen["athlete"] > seen["namesake"]
