"""T′ from elsewhere than the type matching model."""

import json

import numpy as np
import pytest

from toner_jax.errors import UserError
from toner_jax.runs.type_sources import FROM_GOLD, FROM_MATCHER, WITHOUT, at_random, find_source
from toner_jax.schema import Entity, EntityType, Schema, Sentence

NAMES = ("person", "place", "event", "date")
SCHEMA = Schema("test", tuple(EntityType(name) for name in NAMES))


def sentence(i: int, *types: str) -> Sentence:
    words = tuple(f"w{k}" for k in range(max(1, len(types))))
    offsets = tuple((3 * k, 3 * k + 2) for k in range(len(words)))
    entities = tuple(Entity(k, k + 1, name) for k, name in enumerate(types))
    return Sentence(id=f"s{i}", text=" ".join(words), words=words, offsets=offsets, entities=entities)


SENTENCES = [sentence(0, "place", "person", "place"), sentence(1), sentence(2, "date")]


def never() -> list:
    raise AssertionError("the matcher was asked")


def test_sources():
    own = [("person",), ("event",), ()]
    assert FROM_MATCHER.find(SENTENCES, lambda: own) == own
    assert FROM_GOLD.find(SENTENCES, never) == [("place", "person"), (), ("date",)]
    assert WITHOUT.find(SENTENCES, never) is None
    for name, source in (("matcher", FROM_MATCHER), ("gold", FROM_GOLD), ("none", WITHOUT)):
        assert find_source(name, "test", SCHEMA, 0) is source


def test_chance_errs_as_often_as_the_matcher():
    """Over many sentences; and it errs in other places."""
    rng = np.random.default_rng(1)
    many = [sentence(i, *(n for n in NAMES if rng.random() < 0.3)) for i in range(4_000)]

    def wrong(s: Sentence) -> tuple[str, ...]:
        return tuple(n for n in NAMES if rng.random() < (0.8 if n in s.types() else 0.1))

    own = [wrong(s) for s in many]
    drawn = at_random(SCHEMA, 0).find(many, lambda: own)
    assert drawn == at_random(SCHEMA, 0).find(many, lambda: own)
    assert drawn != at_random(SCHEMA, 1).find(many, lambda: own)

    def rates(found) -> list[float]:
        kept = [n in t for s, t in zip(many, found, strict=True) for n in s.types()]
        added = [n in t for s, t in zip(many, found, strict=True) for n in NAMES if n not in s.types()]
        return [float(np.mean(kept)), float(np.mean(added))]

    assert rates(drawn) == pytest.approx(rates(own), abs=0.02)
    assert np.mean([a == b for a, b in zip(own, drawn, strict=True)]) < 0.7


def written(path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"id": i, "types": t}) + "\n" for i, t in rows.items()))


def test_a_file_or_another_run(tmp_path):
    rows = {"s2": ["date"], "s0": ["event", "person"], "s1": []}
    written(tmp_path / "run" / "types" / "dev.jsonl", rows)
    written(tmp_path / "run" / "evaluate" / "types" / "test.jsonl", {**rows, "s1": ["place"]})
    found = find_source(str(tmp_path / "run"), "dev", SCHEMA, 0).find(SENTENCES, never)
    assert found == [("event", "person"), (), ("date",)]
    assert find_source(str(tmp_path / "run"), "test", SCHEMA, 0).find(SENTENCES, never)[1] == ("place",)
    file = tmp_path / "run" / "types" / "dev.jsonl"
    assert find_source(str(file), "any", SCHEMA, 0).find(SENTENCES, never) == found


def test_what_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file; name matcher, gold, none, random"):
        find_source("oracle", "test", SCHEMA, 0)
    with pytest.raises(UserError, match="no T′ of test there"):
        find_source(str(tmp_path), "test", SCHEMA, 0)
    written(tmp_path / "t.jsonl", {"s0": ["planet"], "s1": [], "s2": []})
    with pytest.raises(
        UserError, match="planet: no types of this run, which knows person, place, event, date"
    ):
        find_source(str(tmp_path / "t.jsonl"), "test", SCHEMA, 0).find(SENTENCES, never)
    written(tmp_path / "t.jsonl", {"s0": []})
    with pytest.raises(UserError, match="does not hold T′ of these sentences"):
        find_source(str(tmp_path / "t.jsonl"), "test", SCHEMA, 0).find(SENTENCES, never)
