"""Texts embedded together and alone: the same vectors, whatever stands beside them, in few shapes, nothing left out."""

from __future__ import annotations

from functools import cache, partial

import jax
import numpy as np
import pytest

from toner_jax.inference import embedding, threads
from toner_jax.inference.embedding import Embedder, embed
from toner_jax.models import registry
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert
from toner_jax.parallel.mesh import make_mesh

MODEL = Bert(
    BertConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=80,
    )
)  # fmt: skip


@cache
def params():
    return registry.initializer(MODEL)(jax.random.key(0))


def rows(seed: int, count: int, most: int = 80) -> list[np.ndarray]:
    """Many short ones and a few long; of few lengths, as each is a program of its own where a text is alone."""
    rng = np.random.default_rng(seed)
    lengths = np.minimum(most, 2 + rng.geometric(0.08, count) // 4 * 4)
    return [rng.integers(2, 60, n).astype(np.int32) for n in lengths]


@cache
def alone(seed: int, count: int) -> np.ndarray:
    """Each text by a program of its own, with no padding at all."""
    program = jax.jit(partial(embed, MODEL))  # one for each length
    return np.concatenate([program(params(), row[None]) for row in rows(seed, count)])


@pytest.mark.slow
@pytest.mark.parametrize(("cores", "batch_size"), [(2, 5), (1, 1), (1, 5), (1, 64), (2, 1), (2, 64)])
def test_vectors_are_those_of_the_texts_alone(monkeypatch, batch_size, cores):
    monkeypatch.setattr(threads, "cores", lambda: cores)
    found = Embedder(MODEL, make_mesh(), batch_size)(params(), rows(0, 40))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, alone(0, 40), atol=2e-6)
    assert np.abs(alone(0, 40)[0] - alone(0, 40)[1]).max() > 0.01  # they differ by far more


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_few_texts(count):
    found = Embedder(MODEL, make_mesh(), 8)(params(), rows(1, count))
    assert len(found) == count
    if count:
        np.testing.assert_allclose(found, alone(1, count), atol=2e-6)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_one_by_one(count):
    found = Embedder(MODEL, make_mesh(), 8).one_by_one(params(), rows(1, count))
    np.testing.assert_allclose(found, alone(1, count), atol=2e-6)


class Replicas(Embedder):
    """Of a mesh with several replicas, which need not be here to plan for."""

    def __init__(self, replicas: int, batch_size: int):
        super().__init__(MODEL, make_mesh(), batch_size)
        self._replicas = replicas
        self._each = -(-batch_size // replicas)


@pytest.mark.parametrize("replicas", [1, 3, 8])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("seed", range(4))
def test_every_text_once_and_within_its_shape(replicas, batch_size, seed):
    texts = rows(seed, [1, 4, 100, 700][seed])
    lengths = np.array([len(t) for t in texts])
    plan = Replicas(replicas, batch_size)
    seen, shapes = [], set()
    for chosen, shape in plan._batches(lengths, ()):
        seen += chosen.tolist()
        shapes.add(shape)
        at, _ = embedding.dealt(len(chosen), shape.texts, replicas)
        assert len(set(at.tolist())) == len(chosen)
        assert at.max() < shape.texts
        assert lengths[chosen].max() <= shape.length
        filled = np.bincount(at // (shape.texts // replicas), lengths[chosen], replicas)
        assert filled.max() <= shape.tokens
    assert sorted(seen) == list(range(len(texts)))
    assert len(shapes) <= 2 * len(plan.lengths)


def test_little_is_computed_beside_the_tokens():
    """Of many texts of usual lengths, by tokens and, in attention, by cells of the grid."""
    lengths = np.random.default_rng(5).normal(26, 9, 5_000).clip(4, 80).astype(int)
    plan = Replicas(1, 64)
    shapes = [shape for _, shape in plan._batches(lengths, ())]
    assert sum(lengths) / sum(shape.tokens for shape in shapes) > 0.95
    assert sum(lengths) / sum(shape.texts * shape.length for shape in shapes) > 0.5


def test_descriptions_of_any_number_need_the_same_programs():
    plan = Replicas(1, 8)
    few, more = ({shape for _, shape in plan._batches(np.full(n, 7), plan.lengths[:1])} for n in (1, 30))
    assert few == more == {plan.many(plan.lengths[0])}
    assert {shape for _, shape in plan._batches(np.array([7]), ())} != few
