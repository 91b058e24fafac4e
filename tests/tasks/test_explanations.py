"""Entities with explanations: the paper's own samples (§3.5), and outputs of any kind."""

from __future__ import annotations

import numpy as np
import pytest

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.errors import UserError
from toner_jax.schema import Entity, make_sentence
from toner_jax.tasks import prompts
from toner_jax.tasks.explanations import Explanations
from toner_jax.tasks.output import Output, WrittenSpan
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece

SCHEMA = BUILTIN["conll2003"]
TEXT = "- Wellington newsroom 64 4 4734 746"
WHY = (
    "'Wellington' is labeled as 'location' because it refers to a specific location, which is the capital city of "
    "New Zealand."
)
NO_ENTITY = "No entity in the text belongs to any pre-defined entity type."


@pytest.fixture(scope="module")
def task(shared):
    word_ids = WordIds(load_sentencepiece(shared / "t5_vocab", "hf"))
    return Explanations(word_ids, SCHEMA, explanations={"first": WHY})


def sentence(id, *entities):
    return make_sentence(id, TEXT.split(), entities, SCHEMA)


def test_the_papers_prompts():
    assert prompts.entities(SCHEMA.names, ["location"], explain=True).string(TEXT.split()) == (
        "List all named entities of type [organization, person, miscellaneous, location] and give explanations.\n"
        "Text: - Wellington newsroom 64 4 4734 746\n"
        "Entities of type [location] may exist in text."
    )


def test_the_prompts_ids(task):
    got = task.prompt(TEXT.split(), [])
    assert task.word_ids.decode(got.ids) == (
        "List all named entities of type [organization, person, miscellaneous, location] and give explanations. "
        f"Text: {TEXT} Entities of type [] may exist in text."
    )
    assert task.word_ids.decode(got.ids[got.text_start : got.text_end]) == TEXT


def test_the_papers_outputs(task):
    target = task.target(sentence("first", Entity(1, 2, "location")))
    assert task.word_ids.decode(target) == f"Entity: [(location, Wellington)] Explanation: {WHY}"
    assert task.word_ids.decode(task.target(sentence("second"))) == f"Entity: [] Explanation: {NO_ENTITY}"


def test_a_sentence_with_entities_needs_an_explanation(task):
    with pytest.raises(UserError, match=r"^sentence dev-7: no explanation"):
        task.target(sentence("dev-7", Entity(1, 2, "location")))


def test_a_target_reads_back(task):
    """Freely written: nothing is known of it but its tokens."""
    target = list(task.target(sentence("first", Entity(1, 2, "location"))))
    scores = np.log(np.linspace(0.5, 1, len(target))).astype(np.float32)
    found = task.read(TEXT.split(), Output(target, scores))
    assert found.entities == (Entity(1, 2, "location"),)
    assert found.explanation == WHY
    assert not found.dropped
    # The item `(location, Wellington)` alone: neither what stands before it nor the explanation.
    pieces = [task.word_ids.tokenizer.piece(i) for i in target]
    first, end = pieces.index("("), pieces.index(")")
    np.testing.assert_allclose(found.scores[0].joint, np.exp(scores[first : end + 1].sum()), rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "entities", "dropped", "explanation"),
    [
        ("", 0, {}, ""),
        ("Entity:", 0, {}, ""),
        ("Entity: [] Explanation:", 0, {}, ""),
        ("Entity: [(location, Wellington)]", 1, {}, ""),
        ("Entity: [(location, Wellington)] because", 1, {"malformed": 1}, ""),
        ("Entity: [(location, Wellington", 0, {"truncated": 1}, ""),
        ("Explanation: none", 0, {"malformed": 1}, ""),
        ("[(location, Wellington)] Explanation: so ] Explanation: it is", 1, {}, "so ] Explanation: it is"),
    ],
)
def test_whatever_is_written_freely(task, text, entities, dropped, explanation):
    ids = list(task.word_ids.words(text.split())) if text else []
    found = task.read(TEXT.split(), Output(ids, np.zeros(len(ids), np.float32)))
    assert (len(found.entities), dict(found.dropped), found.explanation) == (entities, dropped, explanation)
    assert found.output == text


def test_under_the_grammar_the_last_tokens_explain(task):
    target = task.target(sentence("first", Entity(1, 2, "location")))
    count = len(task.word_ids.words(WHY.split()))
    output = Output(
        list(target), np.zeros(len(target), np.float32), (WrittenSpan(1, 2, "location", 0.5, 0.25),), count
    )
    found = task.read(TEXT.split(), output)
    assert found.explanation == WHY
    assert [(e, s.joint) for e, s in zip(found.entities, found.scores, strict=True)] == [
        (Entity(1, 2, "location"), 0.125)
    ]


def test_the_grammar_writes_the_list_and_the_word_after_it(task):
    """And ends there, where the model's own words begin."""
    grammar, decode = task.grammar(), task.word_ids.decode
    assert not grammar.ends
    assert decode(grammar.open + grammar.empty) == "Entity: [] Explanation:"
    assert decode(grammar.last) == ")] Explanation:"
