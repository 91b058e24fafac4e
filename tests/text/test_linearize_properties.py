"""Targets of any words and types: what is written reads back, and reading never raises."""

from collections import Counter

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from toner_jax.data.corpora.generated import SCHEMA
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.schema import Entity, make_sentence
from toner_jax.text.align import SourceIndex, align
from toner_jax.text.linearize import Parsed, linearize, parse, sentence_items

SPACELESS = st.text(st.characters().filter(lambda c: not c.isspace()), min_size=1, max_size=6)
# Words that look like the format, on purpose.
TRICKY = st.lists(
    st.sampled_from(
        [*"()[],", "),", "(person,", "(protein,", "person", "a", "b", ")]", "x),(location,y", '"']
    ),
    min_size=1,
    max_size=3,
).map("".join)
WORDS = st.one_of(SPACELESS, TRICKY)
SCHEMAS = [*BUILTIN.values(), SCHEMA]


@st.composite
def annotated(draw, words):
    schema = draw(st.sampled_from(SCHEMAS))
    words = draw(st.lists(words, min_size=1, max_size=8))
    spans = st.tuples(st.integers(0, len(words) - 1), st.integers(1, 4), st.sampled_from(schema.names))
    entities = [Entity(a, min(a + n, len(words)), t) for a, n, t in draw(st.lists(spans, max_size=4))]
    return schema, make_sentence("s", words, entities, schema)


def _spelled(words):
    return " ".join(words).replace(" \ue000", "").replace("\ue000", "")


def exact_readings(text, names, words):
    """All the lists of items over the words' runs that are written exactly as `text`; by trying."""
    runs = {_spelled(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}

    def rest(at):
        for name in names:
            begin = at + len(f"({name}, ")
            if text[at:begin] == f"({name}, ":
                for run in runs:
                    if text.startswith(run, begin):
                        end = begin + len(run)
                        if text[end:] == ")]":
                            yield ((name, run),)
                        elif text.startswith("), ", end):
                            yield from (((name, run), *tail) for tail in rest(end + 3))

    return [()] if text == "[]" else list(rest(1))


@given(annotated(WORDS))
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_linearize_wrote_reads_back(example):
    schema, sentence = example
    items = sentence_items(sentence)
    text = linearize(items)
    readings = exact_readings(text, schema.names, sentence.words)
    assert items in readings
    parsed = parse(text, schema.names, SourceIndex(sentence.words))
    assert not parsed.dropped
    assert parsed.items in readings
    if len(readings) == 1:  # otherwise no reader could know
        assert Counter(parsed.items) == Counter(items)


@given(annotated(SPACELESS))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_strings_that_occur_once_lead_back_to_their_spans(example):
    schema, sentence = example
    items = sentence_items(sentence)
    assume(len(exact_readings(linearize(items), schema.names, sentence.words)) == 1)
    source = SourceIndex(sentence.words)
    parsed = parse(linearize(items), schema.names, source)
    aligned, dropped = align(parsed.items, source)
    assert not dropped
    once = {e for e in sentence.entities if len(source.find(sentence.surface(e))) == 1}
    assert once <= set(aligned)


ANY_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=())),  # surrogates, too
    st.lists(
        st.sampled_from(
            [*"()[], \n", "(person, ", "), (", ")]", "person", "a", "b c", "\ud800", "⁇", "\u200b"]
        )
    ).map("".join),
)


@given(ANY_TEXT, st.lists(ANY_TEXT, max_size=5), st.sampled_from(SCHEMAS))
@settings(max_examples=400, deadline=None)
def test_reading_never_raises(text, words, schema):
    for string in (text, "[" + text, f"[(person, {text}", f"[(person, {text})]"):
        for source in (None, SourceIndex(words)):
            parsed = parse(string, schema.names, source)
            assert isinstance(parsed, Parsed)
            assert all(name in schema.index and entity for name, entity in parsed.items)
            assert all(string[a] == "(" and string[b - 1] == ")" for a, b in parsed.ranges)
            assert all(n > 0 for n in parsed.dropped.values())
