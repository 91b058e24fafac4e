"""The type matching model at work: cosines of Eq. 3, and T′ from them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from toner_jax.errors import ParameterError
from toner_jax.inference.embedding import SINGLE, Embedder
from toner_jax.models.encoder import Encoder
from toner_jax.parallel.exchange import by_share
from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks.recognized import check_number

_MOST_SCHEMAS = 64  # whose embedded descriptions are kept
_FEW_TYPES = 32  # that are embedded one by one, as a single text is


class TypeMatcher:
    """Cosines of sentences and types. The descriptions of a schema are encoded once, as long as parameters are the
    same."""

    def __init__(self, encoder: Encoder, features: MatcherFeatures, mesh: Mesh, batch_size: int = 64):
        self.features = features
        self._embed = Embedder(encoder, mesh, batch_size)
        # Four at most, of those that texts have, too: any schema's descriptions bring no program of their own.
        lengths = self._embed.lengths
        self._description_lengths = (*lengths[:-1:2], lengths[-1])
        self._types = _Types(None, OrderedDict())
        self._lock = threading.Lock()

    def types(
        self, params: Any, sentences: Sequence[Sentence], schema: Schema, type_threshold: float, top_k: int
    ) -> list[tuple[str, ...]]:
        """T′ of each sentence, as `matched_types` has it."""
        rows = self.similarities(params, [s.words for s in sentences], schema)
        return [matched_types(row, schema, type_threshold, top_k) for row in rows]

    def preparations(self, params: Any) -> list[Callable[[], object]]:
        """What compiles all programs, one by one; a schema's descriptions bring none."""
        return self._embed.preparations(params)

    def shortened(self, sentences: Sequence[Sentence]) -> list[bool]:
        """Of which sentences the model sees the beginning alone."""
        return by_share(lambda i: self.features.is_shortened(sentences[i].words), len(sentences))

    def similarities(self, params: Any, texts: Sequence[Sequence[str]], schema: Schema) -> np.ndarray:
        """f_TM(x, t) of Eq. 3: cosines fp32 [N, K] of texts (as words) and the schema's types."""
        rows, counts = self.features.encoded(texts)
        with self._lock:  # or else two threads would encode the types
            types = self._known(params).get(schema)
            if types is None and 0 < len(rows) <= SINGLE and len(schema.types) <= _FEW_TYPES:
                return self._with_types(params, rows, counts, schema)
            if types is None:
                descriptions = self.features.descriptions(schema)
                types = self._embed(params, descriptions, padded=self._description_lengths)
                self._keep(schema, types)
        sentences = self._embed(params, rows, counts)
        return sentences @ types.T if len(sentences) else np.zeros((0, len(types)), np.float32)

    def _with_types(
        self, params: Any, rows: Sequence[np.ndarray], counts: np.ndarray, schema: Schema
    ) -> np.ndarray:
        """The cosines of a few texts, whose program embeds the schema's types as well."""
        descriptions = self.features.descriptions(schema)
        vectors = self._embed.one_by_one(
            params, [*descriptions, *(rows[i] for i in range(len(rows)))], [*map(len, descriptions), *counts]
        )
        types, sentences = vectors[: len(descriptions)], vectors[len(descriptions) :]
        self._keep(schema, types)
        cosines: np.ndarray = sentences @ types.T
        return cosines

    def _known(self, params: Any) -> OrderedDict[Schema, np.ndarray]:
        """Embedded descriptions, fp32 [K, D], of schemas that these parameters have met."""
        if self._types.params is not params:  # of another step
            self._types = _Types(params, OrderedDict())
        return self._types.vectors

    def _keep(self, schema: Schema, types: np.ndarray) -> None:
        vectors = self._types.vectors
        if len(vectors) >= _MOST_SCHEMAS:
            vectors.popitem(last=False)
        vectors[schema] = types


class _Types(NamedTuple):
    """Embedded descriptions by schema, the oldest first, of one model's parameters."""

    params: Any
    vectors: OrderedDict[Schema, np.ndarray]


def checked_cosine(type_threshold: float) -> float:
    """`type_threshold`, δ.

    Raises:
      UserError: it is no cosine.
      TypeError: it is not a number.
    """
    check_number("type_threshold", type_threshold)
    if not -1 <= type_threshold <= 1:
        raise ParameterError("type_threshold", type_threshold, "a cosine lies between -1 and 1")
    return type_threshold


def matched_types(
    similarities: np.ndarray, schema: Schema, type_threshold: float, top_k: int = 0
) -> tuple[str, ...]:
    """T′ of one sentence: the types whose cosine is above δ, `type_threshold`, by descending similarity, the first
    `top_k` of them or with 0 all; ties in schema order."""
    # In fp64, as the thresholds are: rounded to fp32, one midway between two neighbours would be either.
    similarities = np.asarray(similarities, np.float64)
    order = np.argsort(-similarities, kind="stable")
    found = tuple(schema.names[i] for i in order if similarities[i] > type_threshold)
    return found[: top_k or None]


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
