"""What is made of freely written lists of entities."""

import numpy as np
import pytest

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.evaluation.scoring import strict_counts, toner_compatible_counts
from toner_jax.schema import Entity, make_sentence
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.output import Output
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece

SCHEMA = BUILTIN["conll2003"]
WORDS = ["Ann", "saw", "Mars", "and", "Ann"]


@pytest.fixture(scope="module")
def task(shared):
    return Entities(WordIds(load_sentencepiece(shared / "t5_vocab", "hf")), SCHEMA)


def test_the_papers_metric_counts_an_item_of_an_unknown_type_as_predicted(task):
    """As the authors' code does: a pair is a pair. Strict spans have none of it."""
    sentence = make_sentence("s", WORDS, [Entity(0, 1, "person"), Entity(2, 3, "location")], SCHEMA)
    (tokens,) = task.word_ids.tokenizer.encode(["[(person, Ann), (planet, Mars), (planet, Mars)]"])
    scores = np.full(len(tokens), -0.01, np.float32)
    found = task.read(WORDS, Output(tokens, scores))
    assert found.dropped == {"unknown_type": 2}
    assert found.entities == (Entity(0, 1, "person"),)
    assert set(found.items) == {("person", "Ann"), ("planet", "Mars")}
    assert all(0.5 < score.joint < 1 for score in found.items.values())
    counts = toner_compatible_counts([sentence], [found.items])
    assert (counts.tp, counts.fp, counts.fn) == (1, 1, 1)
    counts = strict_counts([sentence], [found.entities])
    assert (counts.tp, counts.fp, counts.fn) == (1, 0, 1)
