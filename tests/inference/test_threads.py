"""One loaded model in many threads, while what it memoises overflows."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.schema import EntityType, Schema
from toner_jax.text.ids import WordIds

THREADS, ROUNDS = 8, 300


pytestmark = pytest.mark.usefixtures("busy_switching")


class Letters:
    """A tokenizer whose pieces are characters."""

    digest, added, vocab_size = "letters", (), 1 << 20
    pad_id, eos_id, unk_id, cls_id, sep_id = 0, 1, 2, 3, 4

    def encode(self, strings):
        return [tuple(map(ord, string)) for string in strings]

    def piece(self, id):
        return chr(id)


def in_threads(ask) -> None:
    """Calls ask(words) from all threads, always of other words; an error is raised."""

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(ROUNDS):
            ask(["".join(rng.choices("abcdefghij", k=2)) for _ in range(rng.randint(1, 6))])

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))


def test_ids_of_words_and_phrases(monkeypatch):
    monkeypatch.setattr("toner_jax.text.ids.MOST_WORDS", 10)
    monkeypatch.setattr("toner_jax.text.ids._MOST_PHRASES", 3)
    ids = WordIds(Letters())

    def ask(words: list[str]) -> None:
        expected = tuple(ord(c) for word in words for c in word)
        assert ids.words(words) == expected
        assert tuple(i for word in words for i in ids.word(word)) == expected
        assert ids.glued(words[0]) == ids.phrase(words[0]) == tuple(map(ord, words[0]))
        assert ids.decode(ids.type_list(words)) == f"[{','.join(words)}]"

    in_threads(ask)
    assert max(len(ids._words), len(ids._glued), len(ids._phrases)) <= 10


def test_the_matchers_ids(monkeypatch):
    monkeypatch.setattr("toner_jax.pipeline.matcher_features.MOST_WORDS", 10)
    monkeypatch.setattr("toner_jax.pipeline.matcher_features._MOST_TOLD", 2)
    features = MatcherFeatures(Letters(), max_length=64)

    def ask(words: list[str]) -> None:
        features.prepare(words)
        assert features.encode(words).tolist() == [3, *(ord(c) for word in words for c in word), 4]
        assert not features.is_shortened(words)
        schema = Schema("s", (EntityType(words[0], " ".join(words)),))
        assert len(features.descriptions(schema)[0]) > 2

    in_threads(ask)
    assert len(features._words) <= 10


@pytest.mark.slow
def test_predictions(ner, monkeypatch):
    texts = [
        f"Judge Ivan Borca{a}{b} met Rita of Lim{a} in {i} towns." for i, a in enumerate("abc") for b in "xy"
    ]
    expected = [ner.predict([text]) for text in texts]
    monkeypatch.setattr(ner.word_ids._words, "_most", 12)
    monkeypatch.setattr(ner._matcher.features._words, "_most", 12)
    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(lambda text: ner.predict([text]), texts * 2)) == expected * 2
