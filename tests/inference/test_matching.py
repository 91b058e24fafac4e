"""Cosines, T′ and the choice of δ."""

from __future__ import annotations

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax.common.console import Compilations
from toner_jax.inference import matching
from toner_jax.inference.matching import TypeMatcher, choose_type_threshold, matched_types
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert
from toner_jax.parallel.mesh import make_mesh
from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.schema import EntityType, Schema

SCHEMA = Schema(
    "s",
    (EntityType("ship", "Names of vessels."), EntityType("port"), EntityType("sea", "Waters.")),
)

# T′.


@pytest.mark.parametrize(
    ("similarities", "threshold", "expected"),
    [
        ([0.2, 0.9, 0.5], 0.1, ("port", "sea", "ship")),
        ([0.2, 0.9, 0.5], 0.4, ("port", "sea")),
        ([0.2, 0.9, 0.5], 0.95, ()),
        ([0.5, 0.5, 0.75], 0.25, ("sea", "ship", "port")),  # ties in schema order
        ([0.5, 0.5, 0.5], 0.25, ("ship", "port", "sea")),
        ([0.5, 0.25, 0.75], 0.5, ("sea",)),  # above δ, not at it
        ([-0.5, -0.25, -0.75], -0.6, ("port", "ship")),
    ],
)
def test_matched_types(similarities, threshold, expected):
    assert matched_types(np.array(similarities, np.float32), SCHEMA, threshold) == expected


@pytest.mark.parametrize(
    ("threshold", "top_k", "expected"),
    [
        (0.1, 2, ("port", "sea")),
        (0.1, 9, ("port", "sea", "ship")),
        (0.6, 2, ("port",)),  # never one at or below δ
        (-1.0, 1, ("port",)),  # whatever its cosine
        (0.1, 0, ("port", "sea", "ship")),
    ],
)
def test_at_most_the_most_similar(threshold, top_k, expected):
    assert matched_types(np.array([0.2, 0.9, 0.5], np.float32), SCHEMA, threshold, top_k) == expected


# δ.


def f_beta(predicted: np.ndarray, present: np.ndarray, beta: float) -> Fraction:
    """(1 + β²)·P·R / (β²·P + R), exactly."""
    right = int((predicted & present).sum())
    if not right:
        return Fraction(0)
    precision, recall = Fraction(right, int(predicted.sum())), Fraction(right, int(present.sum()))
    b2 = Fraction(beta) ** 2
    return (1 + b2) * precision * recall / (b2 * precision + recall)


def random_dev(seed: int, n: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Similarities that tell something, in few enough levels to tie."""
    rng = np.random.default_rng(seed)
    present = rng.random((n, 3)) < 0.3
    present[0, 0] = True
    similarities = np.round((rng.normal(size=present.shape) + present) * levels) / (8 * levels)
    return similarities.astype(np.float32), present


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("levels", [1, 4, 1000])
@pytest.mark.parametrize("seed", range(8))
def test_the_threshold_is_the_best_of_all(seed, levels, beta):
    similarities, present = random_dev(seed, 15, levels)
    values = sorted(set(similarities.ravel().tolist()))
    candidates = [values[0] - 1, *values]  # just above each value, and below all
    scores = [f_beta(similarities > np.float32(c), present, beta) for c in candidates]
    threshold, best = choose_type_threshold(similarities, present, beta)
    assert best == pytest.approx(float(max(scores)), rel=1e-12)
    chosen = np.stack(
        [[n in matched_types(row, SCHEMA, threshold) for n in SCHEMA.names] for row in similarities]
    )
    assert f_beta(chosen, present, beta) == max(scores)
    # Of equally good cuts it is the highest: the one that predicts the fewest.
    fewest = min(
        int((similarities > np.float32(c)).sum())
        for c, f in zip(candidates, scores, strict=True)
        if f == max(scores)
    )
    assert chosen.sum() == fewest


def test_the_threshold_lies_midway():
    similarities = np.array([[0.75, 0.5, 0.0]], np.float32)
    present = np.array([[True, True, False]])
    assert choose_type_threshold(similarities, present, 1.0) == (0.25, 1.0)


def test_a_threshold_below_everything_is_possible():
    similarities = np.array([[0.75, 0.5, 0.25]], np.float32)
    threshold, best = choose_type_threshold(similarities, np.ones((1, 3), bool), 1.0)
    assert 0.2 < threshold < 0.25
    assert best == 1


@pytest.mark.parametrize("value", [0.3, 0.7, 0.8127])
def test_a_threshold_separates_neighbouring_floats(value):
    """Midway between two fp32 neighbours there is no fp32 number; the upper one still matches."""
    near = np.float32(value)
    for low, high in ((near, np.nextafter(near, np.float32(1))), (np.nextafter(near, np.float32(0)), near)):
        similarities = np.array([[high, low, low]])
        threshold, best = choose_type_threshold(similarities, np.array([[True, False, False]]), 1.0)
        assert best == 1
        assert matched_types(similarities[0], SCHEMA, threshold) == ("ship",)


# Cosines.


class FakeTokenizer:
    """One piece for each letter."""

    pad_id, unk_id, cls_id, sep_id, vocab_size = 0, 1, 2, 3, 60

    def encode(self, strings):
        return [tuple(4 + ord(c) % 56 for c in s) for s in strings]

    def piece(self, id):
        raise NotImplementedError


MODEL = Bert(
    BertConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=96,
    )
)  # fmt: skip
TEXTS = [
    ("The", "Otago", "sank", "."),
    ("x",),
    ("In", "Wellington", "harbour", "lay", "the", "Rangatira", ",", "bound", "for", "Lyttelton"),
    (),
    ("Nothing", "to", "see"),
]


@pytest.fixture(scope="module")
def params():
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(MODEL.init, jax.random.key(0), jnp.ones((1, 4), int), jnp.ones((1, 4)))["params"]
    return jax.tree_util.tree_map_with_path(
        lambda path, s: (rng.normal(path[-1].key == "scale", 0.3, s.shape)).astype(np.float32), shapes
    )


@pytest.fixture(scope="module")
def similarities(params):
    """A function of the texts and the batch size."""
    features = MatcherFeatures(FakeTokenizer(), max_length=96)
    matchers: dict[int, TypeMatcher] = {}

    def compute(texts, batch_size):
        if batch_size not in matchers:
            matchers[batch_size] = TypeMatcher(MODEL, features, make_mesh(), batch_size)
        return matchers[batch_size].similarities(params, texts, SCHEMA)

    return compute


def bert_states(params, ids: list[int]) -> np.ndarray:
    """The last hidden states [S, D] of one unpadded text, in float64."""

    def linear(x, name, layer):
        return x @ layer[name]["kernel"] + layer[name]["bias"]

    def norm(x, p):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12) * p["scale"] + p["bias"]

    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    x = p["word_embeddings"]["embedding"][ids] + p["position_embeddings"]["embedding"][: len(ids)]
    x = norm(x + p["token_type_embeddings"]["embedding"][0], p["embeddings_norm"])
    for i in range(2):
        layer = p[f"layers_{i}"]
        q, k, v = (linear(x, name, layer["attention"]) for name in ("query", "key", "value"))
        heads = []
        for h in range(4):
            part = slice(8 * h, 8 * h + 8)
            weights = np.exp(q[:, part] @ k[:, part].T / np.sqrt(8))
            heads.append(weights / weights.sum(-1, keepdims=True) @ v[:, part])
        x = norm(x + linear(np.concatenate(heads, -1), "out", layer["attention"]), layer["attention_norm"])
        h = linear(x, "intermediate", layer)
        h = h * (1 + np.vectorize(math.erf)(h / np.sqrt(2))) / 2
        x = norm(x + linear(h, "output", layer), layer["output_norm"])
    return x


@pytest.fixture(scope="module")
def expected(params) -> np.ndarray:
    """Eq. 3 of every text and type, one text at a time."""

    def embed(text: str) -> np.ndarray:
        states = bert_states(params, [2, *(4 + ord(c) % 56 for c in text.replace(" ", "")), 3])
        return sum(states) / len(states)

    types = [embed(t) for t in ("ship: Names of vessels.", "port", "sea: Waters.")]
    return np.array(
        [
            [x @ t / (np.sqrt(x @ x) * np.sqrt(t @ t)) for t in types]
            for x in (embed(" ".join(words)) for words in TEXTS)
        ]
    )


@pytest.mark.parametrize("batch_size", [2, 8])
def test_cosines_are_those_of_the_texts_alone(similarities, expected, batch_size):
    """Whatever stands beside a text in its batch, and however far the batch is padded."""
    found = similarities(TEXTS, batch_size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert np.ptp(expected, axis=0).min() > 0.02  # texts differ by far more than the tolerance
    assert np.ptp(expected, axis=1).min() > 0.02


def test_cosines_do_not_depend_on_the_order(similarities, expected):
    order = [3, 0, 4, 2, 1, 2]
    np.testing.assert_allclose(similarities([TEXTS[i] for i in order], 2), expected[order], atol=2e-6)


def test_no_texts_have_no_cosines(similarities):
    assert similarities([], 2).shape == (0, 3)


@pytest.mark.parametrize("count", [1, 3])
def test_a_few_first_texts_and_the_types_need_one_program(params, expected, monkeypatch, count):
    """What comes first waits for no second one; what comes then finds the types known."""
    begun: list[object] = []
    monkeypatch.setattr(Compilations, "_which", lambda self, shape: begun.append(shape) or "")
    matcher = TypeMatcher(MODEL, MatcherFeatures(FakeTokenizer(), max_length=96), make_mesh(), 8)
    np.testing.assert_allclose(
        matcher.similarities(params, TEXTS[:count], SCHEMA), expected[:count], atol=2e-6
    )
    assert len(set(begun)) == 1
    assert len(begun) == count + len(SCHEMA.types)
    del begun[:]
    np.testing.assert_allclose(
        matcher.similarities(params, TEXTS[:count], SCHEMA), expected[:count], atol=2e-6
    )
    assert len(begun) == count
    np.testing.assert_allclose(matcher.similarities(params, TEXTS, SCHEMA), expected, atol=2e-6)


def test_types_beside_a_few_texts_are_kept_of_so_many_schemas(params, monkeypatch):
    monkeypatch.setattr(matching, "_MOST_SCHEMAS", 2)
    matcher = TypeMatcher(MODEL, MatcherFeatures(FakeTokenizer(), max_length=96), make_mesh(), 8)
    schemas = [Schema("s", (EntityType(name),)) for name in ("ship", "port", "sea")]
    first = [matcher.similarities(params, TEXTS[:1], schema) for schema in schemas]
    assert list(matcher._types.vectors) == schemas[1:]
    for schema, cosines in zip(schemas, first, strict=True):
        np.testing.assert_allclose(matcher.similarities(params, TEXTS[:1], schema), cosines, atol=2e-6)
