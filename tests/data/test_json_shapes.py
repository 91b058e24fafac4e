"""The JSON shapes of preprocessed benchmarks: one sentence in all of them, and what each must settle itself."""

import json

import pytest

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.json_shapes import read_json_shapes
from toner_jax.errors import UserError

ACE = BUILTIN["ace2005"]

# "The mayor of Lima left": [The mayor of Lima] is a person, [Lima] within it a GPE; "He waved": [He].
FIRST, SECOND = ["The", "mayor", "of", "Lima", "left"], ["He", "waved"]
EXPECTED = [
    (FIRST, [(0, 4, "person"), (3, 4, "gpe")]),
    (SECOND, [(0, 1, "person")]),
]
SHAPES = {
    "W2NER": [
        {
            "sentence": FIRST,
            "ner": [{"index": [3], "type": "GPE"}, {"index": [0, 1, 2, 3], "type": "PER"}],
            "word": [],
        },
        {"sentence": SECOND, "ner": [{"index": [0], "type": "PER"}]},
    ],
    "mrc": [
        {"context": "The mayor of Lima left", "label": {"PER": ["0;3"], "GPE": ["3;3"], "ORG": []}},
        {"context": "He waved", "label": {"PER": ["0;0"]}},
    ],
    "mrc query": [
        {
            "context": " ".join(words),
            "entity_label": label,
            "span_position": spans,
            "start_position": [int(s.split(";")[0]) for s in spans],
            "impossible": not spans,
            "qas_id": f"{i}.{j}",
            "query": "…",
        }
        for i, (words, labels) in enumerate(
            [(FIRST, {"GPE": ["3;3"], "ORG": [], "PER": ["0;3"]}), (SECOND, {"GPE": [], "PER": ["0;0"]})]
        )
        for j, (label, spans) in enumerate(labels.items())
    ],
    "BARTNER": [
        {"sentences": [FIRST, SECOND], "ners": [[[0, 3, "PER"], [3, 3, "GPE"]], [[0, 0, "PER"]]]},
    ],
    "PURE": [
        {"doc_key": "d1", "sentences": [FIRST, SECOND], "ner": [[[0, 3, "PER"], [3, 3, "GPE"]], [[5, 5, "PER"]]]},
    ],
    "CNN_Nested_NER": [
        {
            "tokens": FIRST,
            "entity_mentions": [
                {"entity_type": "PER", "start": 0, "end": 4, "text": "The mayor of Lima"},
                {"entity_type": "GPE", "start": 3, "end": 4, "text": "Lima"},
            ],
        },
        {"tokens": SECOND, "entity_mentions": [{"entity_type": "PER", "start": 0, "end": 1}]},
    ],
    "UIE": [
        {
            "text": "The mayor of Lima left",
            "tokens": FIRST,
            "entity": [
                {"type": "GPE", "offset": [3], "text": "Lima"},
                {"type": "PER", "offset": [0, 1, 2, 3], "text": "The mayor of Lima"},
            ],
            "relation": [],
            "event": [],
        },
        {"tokens": SECOND, "entity": [{"type": "PER", "offset": [0], "text": "He"}], "spot": ["PER"]},
    ],
    "characters": [
        {
            "sentence": "The mayor of Lima left",
            "entities": [{"start": 0, "end": 17, "type": "PER"}, {"start": 13, "end": 17, "type": "GPE"}],
        },
        {"sentence": "He waved", "entities": [{"start": 0, "end": 2, "type": "PER"}]},
    ],
}  # fmt: skip


def read(tmp_path, records, lines=False):
    path = tmp_path / "x.json"
    text = "".join(json.dumps(r) + "\n" for r in records) if lines else json.dumps(records, indent=1)
    path.write_text(text, encoding="utf-8")
    return read_json_shapes(path, ACE, "dev")


def found(read):
    return [(list(s.words), [(e.start, e.end, e.type) for e in s.entities]) for s in read.sentences]


@pytest.mark.parametrize("lines", [False, True], ids=["array", "lines"])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_text_in_every_shape(tmp_path, shape, lines):
    result = read(tmp_path, SHAPES[shape], lines)
    assert found(result) == EXPECTED
    assert result.repairs == {}
    assert [s.id for s in result.sentences] == ["dev-0", "dev-1"]
    assert {s.doc_id for s in result.sentences} == {"d1" if shape == "PURE" else None}


def query(context, label, *spans):
    return {"context": context, "entity_label": label, "span_position": list(spans)}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (
            [
                query("a b", "PER", "0;0"),
                query("c", "PER"),
                query("a b", "GPE", "1;1"),
                query("c", "GPE", "0;0"),
            ],
            [(["a", "b"], [(0, 1, "person"), (1, 2, "gpe")]), (["c"], [(0, 1, "gpe")])],
        ),
        (
            [query("a", "PER", "0;0"), query("a", "GPE"), query("a", "PER"), query("a", "GPE", "0;0")],
            [(["a"], [(0, 1, "person")]), (["a"], [(0, 1, "gpe")])],
        ),
        ([query("a  b", "PER")], [(["a", "b"], [])]),
    ],
    ids=["by-type-order", "the-same-text-twice", "no-entity"],
)
def test_queries_of_one_context_are_one_sentence(tmp_path, records, expected):
    assert found(read(tmp_path, records)) == expected


@pytest.mark.parametrize("shape", ["W2NER", "UIE"])
def test_discontinuous_entities_are_left_out_and_counted(tmp_path, shape):
    words, entities = ["arm", "and", "leg", "pain"], [([0, 3], "arm pain"), ([2, 3], "leg pain")]
    record = {
        "W2NER": {"sentence": words, "ner": [{"index": i, "type": "PER"} for i, _ in entities]},
        "UIE": {"tokens": words, "entity": [{"offset": i, "type": "PER", "text": t} for i, t in entities]},
    }[shape]
    result = read(tmp_path, [record])
    assert found(result) == [(words, [(2, 4, "person")])]
    assert result.repairs == {"discontinuous": 1}


def test_a_word_with_white_space_becomes_several(tmp_path):
    record = {"sentence": ["1 1/2", "men", "and\u00a0a", "boy"], "ner": [{"index": [1, 2], "type": "PER"}]}
    result = read(tmp_path, [record])
    assert found(result) == [(["1", "1/2", "men", "and", "a", "boy"], [(2, 5, "person")])]
    assert result.repairs == {"word_split": 2}


def test_relation_data_are_refused_with_the_reason(tmp_path):
    record = {**SHAPES["PURE"][0], "relations": [[], []]}
    with pytest.raises(
        UserError, match=r"x\.json:2: record 1: relation data of PURE or DyGIE .* marks the heads"
    ):
        read(tmp_path, [record])


def test_mixed_shapes_are_refused_with_the_record(tmp_path):
    records = [SHAPES["W2NER"][0], SHAPES["W2NER"][1], SHAPES["UIE"][0]]
    with pytest.raises(
        UserError, match=r"x\.json:\d+: record 3: a record of shape UIE after records of shape W2NER"
    ):
        read(tmp_path, records)
    with pytest.raises(UserError, match=r"x\.json:3: a record of shape UIE"):
        read(tmp_path, records, lines=True)
