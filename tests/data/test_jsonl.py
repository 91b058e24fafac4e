"""JSON lines: every spelling reads as the same sentences, and what is written reads back exactly."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import read

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.jsonl import read_jsonl, write_jsonl
from toner_jax.errors import UserError
from toner_jax.evaluation.scoring import strict_counts
from toner_jax.schema import Entity, Sentence

CONLL = BUILTIN["conll2003"]
BIO = BUILTIN["jnlpba"]


@pytest.fixture
def write(tmp_path):
    def write(*items, name="data.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(item) + "\n" for item in items))
        return path

    return write


CHARACTERS = {"text": "Ivan saw Lima.", "entities": [{"start": 0, "end": 4, "label": "PER"}, [9, 13, "LOC"]]}
PIECES = ["Ivan", "saw", "Lima", "."]
RANGES = [[0, 4], [5, 8], [9, 13], [13, 14]]
ENTITIES = (Entity(0, 1, "person"), Entity(2, 3, "location"))


@pytest.mark.parametrize(
    "item",
    [
        CHARACTERS,
        {**CHARACTERS, "entities": [{"start": 0, "end": 4, "label": "person", "score": 0.9}, [9, 13, "loc"]]},
        {**CHARACTERS, "entities": [[9, 13, "LOC"], [0, 4, "PER"]], "language": "en"},
        {"text": CHARACTERS["text"], "spans": [{"start_offset": 0, "end_offset": 4, "type": "PER"}, [9, 13, "LOC"]]},
        {**CHARACTERS, "words": RANGES},
        {**CHARACTERS, "tokens": [{"text": "?", "start": a, "end": b, "id": 0} for a, b in RANGES]},
    ],
)  # fmt: skip
def test_characters(write, item):
    (s,), repairs = read_jsonl(write(item), CONLL)
    assert (s.words, s.offsets, s.text) == (tuple(PIECES), tuple(map(tuple, RANGES)), "Ivan saw Lima.")
    assert s.entities == ENTITIES
    assert repairs == {}


@pytest.mark.parametrize("words", ["words", "tokens"])
@pytest.mark.parametrize(
    "annotation",
    [
        {"entities": [{"start": 0, "end": 1, "label": "PER"}, {"start": 2, "end": 3, "type": "LOC"}]},
        {"spans": [[2, 3, "LOC"], [0, 1, "PER"]]},
        {"tags": ["B-PER", "O", "B-LOC", "O"]},
        {"ner_tags": ["I-PER", "O", "I-LOC", "O"]},
    ],
)
def test_words(write, words, annotation):
    (s,), repairs = read_jsonl(write({words: PIECES, **annotation}), CONLL)
    assert (s.words, s.text) == (tuple(PIECES), "Ivan saw Lima .")
    assert s.entities == ENTITIES
    assert repairs == {}


def test_an_array_reads_as_lines_do(tmp_path, write):
    path = tmp_path / "data.json"
    for text in (json.dumps([CHARACTERS, CHARACTERS]), json.dumps([CHARACTERS, CHARACTERS], indent=2)):
        path.write_text(text)
        assert read_jsonl(path, CONLL) == read_jsonl(write(CHARACTERS, CHARACTERS), CONLL)


def test_names(write):
    text = {"text": "Rain fell. Then snow.", "entities": []}
    word = {"words": ["x"], "entities": []}

    def names(*items):
        return [(s.id, s.doc_id) for s in read_jsonl(write(*items), CONLL, "dev").sentences]

    assert names(text, text)[2:4] == [("dev-2", "dev-doc-1"), ("dev-3", "dev-doc-1")]
    assert {doc for _, doc in names({**text, "id": "a"}, {**text, "id": 7})} == {"a", "7"}
    assert {doc for _, doc in names({**text, "doc_id": "d", "id": 1}, {**text, "doc_id": "d", "id": 2})} == {
        "d"
    }
    assert names(word, word) == [("dev-0", None), ("dev-1", None)]
    assert names({**word, "id": 3}, {**word, "id": "b", "doc_id": "d"}) == [("3", None), ("b", "d")]


def test_white_space_words_are_left_out_and_counted(write):
    tags = ["B-PER", "I-PER", "I-PER", "O", "B-LOC"]
    (s,), repairs = read_jsonl(write({"tokens": ["Ivan", " ", "Lima ", "\n", ""], "tags": tags}), CONLL)
    assert (s.words, s.entities) == (("Ivan", "Lima"), (Entity(0, 2, "person"),))
    assert repairs == {"blank_word": 3, "word_trimmed": 1, "blank_entity": 1}
    (s,), repairs = read_jsonl(write({**CHARACTERS, "tokens": [*RANGES[:2], [8, 9], *RANGES[2:]]}), CONLL)
    assert (s.words, repairs) == (tuple(PIECES), {"blank_word": 1})


SENTENCES = [
    Sentence("a", ("x",), ((2, 3),), "  x\n"),
    Sentence("b", ("Zoë", "’s", "👩‍🚀"), ((0, 3), (3, 5), (6, 9)), "Zoë’s 👩‍🚀", (Entity(0, 3, "person"),), "d 1"),
    Sentence(
        "c",
        ("New", "York", "Times"),
        ((0, 3), (4, 8), (10, 15)),
        'New\tYork\u2028"Times"',
        (Entity(0, 3, "organization"), Entity(0, 2, "location"), Entity(1, 3, "miscellaneous"), Entity(1, 2, "person")),
        "d 2",
    ),
    Sentence("d", ("a b", "c"), ((0, 3), (4, 5)), "a b c", (Entity(0, 1, "location"),), "d 2"),
]  # fmt: skip


def test_written_sentences_read_back(tmp_path):
    write_jsonl(SENTENCES, tmp_path / "s.jsonl")
    assert read_jsonl(tmp_path / "s.jsonl", CONLL) == (tuple(SENTENCES), {})
    first = json.loads((tmp_path / "s.jsonl").read_text().splitlines()[1])
    assert first["entities"] == [{"start": 0, "end": 9, "text": "Zoë’s 👩‍🚀", "label": "person"}]


@st.composite
def sentences(draw):
    gaps = st.text(alphabet=" \t\n'“", max_size=2)
    words = draw(st.lists(st.text(alphabet='aé."\u200b👩', min_size=1, max_size=3), min_size=1, max_size=5))
    text, offsets = draw(gaps), []
    for word in words:
        offsets.append((len(text), len(text) + len(word)))
        text += word + draw(gaps)
    ends = st.tuples(st.integers(0, len(words)), st.integers(0, len(words)), st.sampled_from(CONLL.names))
    spans = {(min(a, b), max(a, b), t) for a, b, t in draw(st.lists(ends, max_size=4)) if a != b}
    found = sorted((Entity(*span) for span in spans), key=lambda e: (e.start, -e.end, CONLL.index[e.type]))
    doc_id = draw(st.none() | st.text(alphabet="d/ .", min_size=1, max_size=3))
    return Sentence("s", tuple(words), tuple(offsets), text, tuple(found), doc_id)


def test_raw_text_reads_back(tmp_path):
    text = "IL-2-mediated, 663mg of Mk. 5 in NF-YA."
    spans = [[0, 4, "PER"], [15, 18, "LOC"], [24, 29, "ORG"], [33, 37, "LOC"]]
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text, "entities": spans}) + "\n", encoding="utf-8")
    first = read_jsonl(tmp_path / "a.jsonl", CONLL)
    write_jsonl(first.sentences, tmp_path / "b.jsonl")
    second = read_jsonl(tmp_path / "b.jsonl", CONLL)
    assert [(s.words, s.gold, s.raw) for s in second.sentences] == [
        (s.words, s.gold, s.raw) for s in first.sentences
    ]
    (s,) = first.sentences
    assert [s.surface(e) for e in s.entities] == ["IL-2", "663", "Mk. 5"]
    assert [s.surface(e) for e in s.unreachable] == ["NF-Y"]


def test_sentences_of_raw_text_read_back_however_they_would_be_split_again(tmp_path):
    """A long text in lower case is cut after 1,000 characters: a part of it alone would not be. The last entity lies in
    two sentences."""
    text = "one two three four five. " * 60 + "Ivan slept. Lima woke."
    spans = [[len(text) - 22, len(text) - 18, "PER"], [len(text) - 17, len(text) - 6, "LOC"]]
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text, "entities": spans}) + "\n", encoding="utf-8")
    first = read_jsonl(tmp_path / "a.jsonl", CONLL).sentences
    assert len(first) > 2
    assert [len(s.unreachable) for s in first] == [0] * (len(first) - 2) + [1, 0]
    write_jsonl(first, tmp_path / "b.jsonl")
    assert read_jsonl(tmp_path / "b.jsonl", CONLL).sentences == first


def test_what_crosses_sentences_reads_back_apart_and_in_order(tmp_path):
    """Two annotations that leave the sentence are two, though the parts in it are the same."""
    spans = [[7, 23, "LOC"], [7, 18, "PER"], [7, 23, "PER"]]
    line = json.dumps({"text": "He met John. Smithson left. Then Anna went.", "entities": spans})
    (tmp_path / "a.jsonl").write_text(line + "\n", encoding="utf-8")
    first = read_jsonl(tmp_path / "a.jsonl", CONLL).sentences
    assert [(e.start, e.end, first[0].surface(e)) for e in first[0].unreachable] == [
        (7, 18, "John."), (7, 23, "John."), (7, 23, "John."),
    ]  # fmt: skip
    assert first[0].span_json(first[0].unreachable[0]) == {
        "start": 7,
        "end": 12,
        "text": "John.",
        "label": "person",
    }
    assert strict_counts(first, [()] * len(first)).fn == 3
    write_jsonl(first, tmp_path / "b.jsonl")
    assert read_jsonl(tmp_path / "b.jsonl", CONLL).sentences == first


@pytest.mark.parametrize("glued", [[1], [0], [2], [-1]])
def test_what_is_glued_stands_right_after_another_word(write, glued):
    item = {"text": "a b", "words": [[0, 1], [2, 3]], "entities": [], "glued": glued}
    with pytest.raises(
        UserError, match=f'"glued" names word {glued[0]}, which does not stand right after another'
    ):
        read_jsonl(write(item), CONLL)


@pytest.mark.parametrize("key", ["glued", "unreachable"])
def test_what_belongs_to_words_is_refused_without_them(write, key):
    with pytest.raises(UserError, match=rf'data.jsonl:1: has "{key}", which goes with "words"'):
        read_jsonl(write({"text": "Ivan slept.", "entities": [], key: []}), CONLL)


@settings(max_examples=80, deadline=None)
@given(sentence=sentences())
def test_any_sentence_reads_back(tmp_path_factory, sentence):
    path = tmp_path_factory.mktemp("any") / "s.jsonl"
    write_jsonl([sentence], path)
    assert read_jsonl(path, CONLL) == ((sentence,), {})


def test_nested_data_reads_back(tmp_path, shared):
    sentences = read(shared, "genia_nested/genia.dev.iob2", split="dev").sentences
    write_jsonl(sentences, tmp_path / "s.jsonl")
    assert read_jsonl(tmp_path / "s.jsonl", BIO).sentences == sentences


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ([CHARACTERS, {"words": ["a"], "entities": []}], "2: annotates words where the file began with characters"),
        ([CHARACTERS, {**CHARACTERS, "words": RANGES}], "2: annotates characters with words where"),
        ([{"words": ["a"], "tags": ["O"]}, {"words": ["a"], "entities": []}], "2: annotates words where the file"),
        ([{"words": ["a"], "tokens": ["a"], "tags": ["O"]}], '1: has both "words" and "tokens"'),
        ([{"words": ["a"], "tags": ["O"], "entities": []}], '1: has both "entities" and "tags"'),
        ([{**CHARACTERS, "tags": ["O"]}], '1: has both "entities" and "tags"'),
        ([{"text": "a", "tags": ["O"]}], '1: has "tags" beside "text", but no "words" that they belong to'),
        ([{"text": "a b", "words": ["b"], "tags": ["O"]}], "1: word 0 is 'b', but \"text\" goes on with 'a b'"),
        ([{"text": "a b", "words": ["a"], "tags": ["O"]}], "1: after its last word \"text\" goes on with 'b'"),
        ([{**CHARACTERS, "words": PIECES}], '1: "words"[0] is \'Ivan\'; beside a "text", words are character'),
        ([{**CHARACTERS, "words": [[0, 4], [3, 8]]}], '1: "words"[1] is [3, 8]: empty, outside the text, or before'),
        ([{**CHARACTERS, "words": [[0, 4]]}], "1: span [9, 13) begins or ends between the words of its text"),
        ([{"words": ["a"], "tags": [3.5]}], '1: "tags" holds 3.5; expected strings such as "B-TYPE"'),
        ([{"words": ["a"], "tags": ["O", "O"]}], '1: 2 "tags" for 1 words'),
        ([{"words": ["a", 1], "entities": []}], '1: "words"[1] is 1; expected a string'),
        ([{"words": ["a"], "entities": [[0, 2, "PER"]]}], "1: span [0, 2) is empty or outside its 1 words"),
        ([{**CHARACTERS, "id": "a"}, CHARACTERS], '2: give every line an "id", or none'),
        ([CHARACTERS, {**CHARACTERS, "id": "a"}], '2: give every line an "id", or none'),
        ([{**CHARACTERS, "id": 1}, {**CHARACTERS, "id": "1"}], "2: \"id\" '1' was already used in"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_or_wrong_is_named(write, items, problem):
    path = write(*items)
    with pytest.raises(UserError) as caught:
        read_jsonl(path, CONLL)
    assert str(caught.value).startswith(f"{path}:{problem}")
