"""Annotations made wrong on purpose, found again by cosines that do not know of it."""

import json

import numpy as np

from toner_jax.data.formats.doccano import read_doccano
from toner_jax.evaluation.suspects import find_suspects
from toner_jax.schema import Entity, EntityType, Schema, Sentence

NAMES = ("person", "place", "date")
SCHEMA = Schema("test", tuple(EntityType(name) for name in NAMES))


def sentence(i: int, types: list[str]) -> Sentence:
    words = tuple(f"w{i}x{k}" for k in range(len(types) + 1))
    starts = np.cumsum([0, *(len(w) + 1 for w in words)])
    offsets = tuple((int(a), int(a) + len(w)) for a, w in zip(starts, words, strict=False))
    entities = tuple(Entity(k, k + 1, name) for k, name in enumerate(types))
    return Sentence(id=f"s{i}", text=" ".join(words), words=words, offsets=offsets, entities=entities)


def test_wrong_annotations_come_first():
    """Of 2,000 sentences 60 lose a type and 60 are given one; cosines are of what was true."""
    rng = np.random.default_rng(0)
    true = rng.random((2_000, 3)) < 0.4
    cosines = np.where(true, 0.7, 0.5) + rng.normal(0, 0.05, true.shape)
    annotated, wrong = true.copy(), set()
    for i in rng.choice(2_000, 120, replace=False):
        k = int(rng.integers(3))
        annotated[i, k] = not true[i, k]
        wrong.add((f"s{i}", NAMES[k], "missing" if true[i, k] else "doubtful"))
    sentences = [
        sentence(i, [n for n, a in zip(NAMES, row, strict=True) if a]) for i, row in enumerate(annotated)
    ]
    found = find_suspects(sentences, cosines.tolist(), SCHEMA)
    first = {(s.sentence.id, s.type, s.kind) for s in found[:60]}
    assert len(first & wrong) >= 55  # by chance 1.2: 120 of 6,000
    assert len(wrong & {(s.sentence.id, s.type, s.kind) for s in found}) / 120 > 0.45
    assert len(found) < 250
    assert [s.margin for s in found] == sorted((s.margin for s in found), reverse=True)


def test_a_type_that_all_or_none_have_is_left_out():
    sentences = [sentence(0, ["person"]), sentence(1, ["person", "place"])]
    assert {s.type for s in find_suspects(sentences, [[0.9, 0.8, 0.9], [0.1, 0.2, 0.1]], SCHEMA)} == {"place"}


def test_an_annotation_tool_opens_them(tmp_path):
    sentences = [sentence(0, ["place"]), sentence(1, ["person", "date"]), sentence(2, [])]
    found = find_suspects(sentences, [[0.9, 0.1, 0.3], [0.2, 0.6, 0.3], [0.8, 0.3, 0.9]], SCHEMA)
    assert {s.kind for s in found} == {"missing", "doubtful"}
    path = tmp_path / "suspects.jsonl"
    path.write_text("".join(json.dumps(s.to_json()) + "\n" for s in found))
    read = read_doccano(path, SCHEMA, "train").sentences
    assert [(s.text, s.types()) for s in read] == [(s.sentence.text, s.sentence.types()) for s in found]
