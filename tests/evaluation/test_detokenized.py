"""Corpora of words as running text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacremoses import MosesDetokenizer

from toner_jax.atoms import glue_words
from toner_jax.evaluation.detokenized import evaluate_detokenized, write_as_text
from toner_jax.evaluation.scoring import Counts
from toner_jax.schema import Entity, Sentence, Unreachable, make_sentence
from toner_jax.tasks.recognized import Coverage, Recognized, Score
from toner_jax.text.words import Reading

ENGLISH = MosesDetokenizer("en")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ('He said , " no " ( twice ) .', 'He said, "no" (twice).'),
        ("IL-2 [ 3 ] , 5 % of $ 3", "IL-2 [3], 5% of $3"),
        ("AT&amp;T &lt; x", "AT&amp;T &lt; x"),
        ("ผม อยู่ กรุงเทพ .", "ผมอยู่กรุงเทพ."),
        ("他 20 岁 ， （ 北京 ）", "他20岁，（北京）"),
        ("", ""),
    ],
)
def test_words_as_running_text(words, text):
    written, places = write_as_text(glue_words(words.split()), ENGLISH)
    assert written == text
    assert [written[a:b] for a, b in places] == words.split()


@given(st.lists(st.text("aé.,'\"()&;%$`-\u00a0 北\u3000", min_size=1, max_size=4), max_size=12))
def test_every_word_keeps_its_place(words):
    text, places = write_as_text(glue_words(words), ENGLISH)
    assert [text[a:b] for a, b in places] == words


def sentence(words, *entities):
    return make_sentence("0", words.split(), [Entity(*e) for e in entities], None)


def test_characters_are_compared_with_characters():
    """By hand. The first text is cut into two sentences; its second name is not found, and an entity is where none is.
    Of the second, nothing is found, and one of its entities could not be."""
    first = sentence(
        "Ann ( Bo ) slept . Meanwhile Cy left .", (0, 1, "person"), (2, 3, "person"), (7, 8, "person")
    )
    text = "took 663mg"
    lost = (Unreachable(5, 8, "dose"),)
    second = Sentence("1", ("took", "663mg"), ((0, 4), (5, 10)), text, (Entity(1, 2, "dose"),), None, lost)
    raw = Sentence("2", ("Ann",), ((0, 3),), "Ann", (Entity(0, 1, "person"),), raw=True)
    seen = []

    def recognize(sentences):
        seen.extend(s.words for s in sentences)
        found = []
        for s in sentences:
            entities = tuple(
                Entity(i, i + 1, "person") for i, w in enumerate(s.words) if w in ("Ann", "Cy", "left")
            )
            scores = (Score(1.0, 1.0),) * len(entities)
            found.append(Recognized(entities, scores, {}, "", coverage=Coverage(1, 1, truncated=1)))
        return found

    result = evaluate_detokenized([first, second, raw], recognize, Reading("words"))
    assert seen == [
        ("Ann", "(", "Bo", ")", "slept", "."),
        ("Meanwhile", "Cy", "left", "."),
        ("took", "663mg"),
    ]
    assert result.counts == Counts(2, 1, 3)
    assert result.coverage == Coverage(3, 3, truncated=3)
    assert evaluate_detokenized([raw], recognize, Reading("words")) is None
