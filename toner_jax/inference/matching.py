"""The type matching model at work: cosines of Eq. 3, and T′ from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from toner_jax.common.console import Compilations
from toner_jax.errors import ParameterError
from toner_jax.inference.lengths import bucket_of, length_buckets
from toner_jax.models.encoder import Encoder
from toner_jax.parallel.mesh import round_batch, shard_batch
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows
from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.schema import Schema, Sentence


def embed(
    encoder: Encoder, params: Any, ids: jax.Array, deterministic: bool = True, **kwargs: Any
) -> jax.Array:
    """E_TM(x)/‖E_TM(x)‖ of id rows [B, S] padded with 0: fp32 [B, D]."""
    mask = (ids != 0).astype(jnp.float32)
    states = encoder.apply({"params": params}, ids, mask, deterministic, **kwargs)
    return encoder.pool(states, mask)


def embedding_program(encoder: Encoder) -> jax.stages.Wrapped:
    """`embed` as a program, (params, ids) → embeddings."""
    return jax.jit(lambda params, ids: embed(encoder, params, ids))


class TypeMatcher:
    """Cosines of sentences and types. The descriptions of a schema are encoded once."""

    def __init__(self, encoder: Encoder, features: MatcherFeatures, mesh: Mesh, batch_size: int = 64):
        self.features = features
        self._mesh = mesh
        self._batch_size = round_batch(batch_size, mesh)
        self._buckets = length_buckets(features.max_length, 2)
        # Four at most, of those that texts have, too: any schema's descriptions bring no program of their own.
        self._description_buckets = (*self._buckets[:-1:2], self._buckets[-1])
        self._compilations = Compilations("matching")
        self._embed = embedding_program(encoder)

    def embeddings(
        self, params: Any, rows: Sequence[np.ndarray], buckets: tuple[int, ...] = ()
    ) -> np.ndarray:
        """Unit vectors fp32 [N, D] of id rows, in the order given; `buckets`: what they are padded to, if not to the
        lengths of texts."""
        out: list[np.ndarray | None] = [None] * len(rows)
        batches = list(length_sorted_batches([len(r) for r in rows], self._batch_size))
        lengths = [bucket_of(len(rows[batch[0]]), buckets or self._buckets) for batch in batches]
        self._compilations.expect(lengths)
        for batch, length in zip(batches, lengths, strict=True):
            ids = pad_rows([rows[i] for i in batch], length, self._batch_size)
            self._compilations.begin(length)
            vectors = np.asarray(self._embed(params, shard_batch(ids, self._mesh)))
            for i, vector in zip(batch, vectors, strict=False):
                out[i] = vector
        return np.stack(out) if out else np.zeros((0, 1), np.float32)  # type: ignore[arg-type]

    def types(
        self, params: Any, sentences: Sequence[Sentence], schema: Schema, type_threshold: float
    ) -> list[tuple[str, ...]]:
        """T′ of each sentence, as `matched_types` has it."""
        rows = self.similarities(params, [s.words for s in sentences], schema)
        return [matched_types(row, schema, type_threshold) for row in rows]

    def shortened(self, sentences: Sequence[Sentence]) -> list[bool]:
        """Of which sentences the model sees the beginning alone."""
        return [self.features.is_shortened(s.words) for s in sentences]

    def similarities(self, params: Any, texts: Sequence[Sequence[str]], schema: Schema) -> np.ndarray:
        """f_TM(x, t) of Eq. 3: cosines fp32 [N, K] of texts (as words) and the schema's types."""
        self.features.prepare(w for words in texts for w in words)
        types = self.embeddings(params, self.features.descriptions(schema), self._description_buckets)
        sentences = self.embeddings(params, [self.features.encode(words) for words in texts])
        return sentences @ types.T if len(sentences) else np.zeros((0, len(types)), np.float32)


def checked_cosine(type_threshold: float) -> float:
    """`type_threshold`, δ.

    Raises:
      UserError: it is no cosine.
    """
    if not -1 <= type_threshold <= 1:
        raise ParameterError("type_threshold", type_threshold, "a cosine lies between -1 and 1")
    return type_threshold


def matched_types(similarities: np.ndarray, schema: Schema, type_threshold: float) -> tuple[str, ...]:
    """T′ of one sentence: the types whose cosine is above δ, `type_threshold`, by descending similarity; ties in schema
    order."""
    # In fp64, as the thresholds are: rounded to fp32, one midway between two neighbours would be either.
    similarities = np.asarray(similarities, np.float64)
    order = np.argsort(-similarities, kind="stable")
    return tuple(schema.names[i] for i in order if similarities[i] > type_threshold)


def choose_type_threshold(similarities: np.ndarray, present: np.ndarray, beta: float) -> tuple[float, float]:
    """The δ that maximises type-level F-β on dev, and that F-β.

    Args:
      similarities: fp32 [N, K]; `present`: bool [N, K].

    Candidates lie midway between neighbouring distinct similarities, so the choice does not hang on the
    last bit of one of them; of equal ones the highest is taken.
    """
    scores, gold = similarities.ravel(), present.ravel().astype(bool)
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order].astype(np.float64), np.cumsum(gold[order])
    kept = np.arange(1, len(scores) + 1)
    b2 = beta * beta
    f = (1 + b2) * hits / np.maximum(b2 * gold.sum() + kept, 1e-12)
    last = np.append(scores[:-1] > scores[1:], True)  # a threshold cannot separate equal scores
    best = int(np.argmax(np.where(last, f, -1.0)))
    below = scores[best + 1] if best + 1 < len(scores) else scores[best] - 1e-3
    return float((scores[best] + below) / 2), float(f[best])
