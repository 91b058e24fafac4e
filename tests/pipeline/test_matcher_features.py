"""Sentences as the type matching model's ids."""

from __future__ import annotations

import numpy as np
import pytest

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.pipeline.corpus import matcher_corpus
from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.text.tokenizers import load_wordpiece
from toner_jax.text.train_tokenizers import train_wordpiece

SENTENCES = generate(7, {"train": 500})["train"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    train_wordpiece(folder, matcher_corpus(SENTENCES, SCHEMA), 600)
    return folder


def test_matcher_ids(folder):
    tokenizer = load_wordpiece(folder, "hf")
    features = MatcherFeatures(tokenizer)
    words = SENTENCES[0].words
    ids = features.encode(words)
    assert ids.dtype == np.int32
    pieces = [tokenizer.piece(int(i)) for i in ids]
    assert (pieces[0], pieces[-1]) == ("[CLS]", "[SEP]")
    assert "".join(p.removeprefix("##") for p in pieces[1:-1]) == "".join(words).lower()
    assert np.array_equal(MatcherFeatures(tokenizer).encode(words), ids)


def test_matcher_input_is_never_longer_than_its_limit(folder):
    features = MatcherFeatures(load_wordpiece(folder, "hf"), max_length=8)
    long, short = features.encode(["person"] * 30), features.encode(["person"])
    assert len(long) == 8
    assert (long[0], long[-1]) == (short[0], short[-1])


def test_matcher_descriptions_are_the_types_texts_in_schema_order(folder):
    tokenizer = load_wordpiece(folder, "hf")
    rows = MatcherFeatures(tokenizer).descriptions(SCHEMA)
    spelled = ["".join(tokenizer.piece(int(i)).removeprefix("##") for i in row[1:-1]) for row in rows]
    assert spelled == [f"{t.name}:{t.description}".replace(" ", "").lower() for t in SCHEMA.types]
