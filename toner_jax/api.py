"""The public API: both trained models, ready for text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from toner_jax.errors import UserError
from toner_jax.inference.matching import TypeMatcher, matched_types
from toner_jax.inference.recognize import Recognizer
from toner_jax.inference.type_recognition import TypeRecognizer
from toner_jax.parallel.mesh import make_mesh
from toner_jax.pipeline.features import GeneratorFeatures
from toner_jax.runs import setup
from toner_jax.runs.recognizers import make_recognizer, make_type_recognizer
from toner_jax.runs.restore import restore, save_pretrained
from toner_jax.schema import EntityType, Schema, Sentence
from toner_jax.tasks.recognized import Recognized
from toner_jax.text.words import sentence_from_text, sentences_from_text

Labels = Sequence[str] | Mapping[str, str]


class Ner:
    """Both trained models, ready for text; `toner_jax.load` makes one."""

    def __init__(self, folder: str | Path, *, config: ConfigDict | None = None, step: int | None = None):
        """Reads a work directory or a folder from `save_pretrained`.

        Args:
          config: another configuration than its own, of which `decode`, `eval`, `text` and `dtype` are heeded.
          step: the generator's step, of a work directory; None for the one chosen on dev.

        Raises:
          UserError: the folder is neither, is damaged, or holds an unfinished run.
        """
        mesh = make_mesh(jax.device_count())
        self._restored = r = restore(Path(folder), mesh, config, step)
        self.config, self.schema, self.step = r.config, r.schema, r.step
        self.threshold, self.temperature = r.threshold, r.temperature
        self.features = setup.generator_features(r.config, r.tokenizers, r.schema)
        self._mesh = mesh
        self._recognizers: dict[tuple[Schema, bool], Recognizer] = {}
        self._type_recognizers: dict[Schema, TypeRecognizer] = {}
        self._matcher: TypeMatcher | None = None
        if r.matcher is not None:
            features = setup.matcher_features(r.config, r.tokenizers, r.matcher)
            self._matcher = TypeMatcher(r.matcher, features, mesh, r.config.eval.batch_size)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes both models in Hugging Face's layout; `toner_jax.load` reads them back."""
        save_pretrained(self._restored, Path(folder))

    def predict(
        self,
        texts: Sequence[str],
        labels: Labels | None = None,
        threshold: float | None = None,
        min_score: float | None = None,
    ) -> list[list[dict[str, Any]]]:
        """Entities of each text.

        Args:
          texts: raw text of any length, which is read as the models were trained: a sentence at a time.
          labels: other types to look for: names, or name → description; None for those of training.
          threshold: δ of T′; None for the run's.
          min_score: entities with a lower score are left out; None for `decode.threshold`.

        Returns:
          Per text, in order of appearance, {"start", "end", "text", "label", "score", "type_score",
          "span_score"}: a half-open character range, its slice of the text, the type, and the probability
          of the entity, that of its type, and that of its span given the type.

        Raises:
          UserError: a min_score that is no probability.
        """
        found: list[list[dict[str, Any]]] = [[] for _ in _checked(texts)]
        for i, spans, _ in self.stream(texts, labels, threshold, min_score):
            found[i] += spans
        return found

    def stream(
        self,
        texts: Iterable[str],
        labels: Labels | None = None,
        threshold: float | None = None,
        min_score: float | None = None,
        batch: int = 1024,
    ) -> Iterator[tuple[int, list[dict[str, Any]], bool]]:
        """As `predict`, in memory that does not depend on how many texts there are, or how long one is.

        Args:
          texts: read as they are needed.
          batch: the most sentences that are prepared at a time.

        Yields:
          For each sentence in order, and once for a text without any: the number of its text, its entities,
          and whether it is the text's last.
        """
        least = self.config.decode.threshold if min_score is None else _probability(min_score)
        schema = self._schema(labels)
        for group in _groups(_sentences(texts), batch):
            found, _ = self.recognize([sentence for _, sentence, _ in group], schema, threshold)
            for (i, sentence, is_last), result in zip(group, found, strict=True):
                yield i, _spans(sentence, result.above(least)), is_last

    def match_types(self, texts: Sequence[str], labels: Labels | None = None) -> list[dict[str, float]]:
        """The cosine of Eq. 3 of each text and type, by descending value.

        Raises:
          UserError: the run was trained without type matching.
        """
        if self._matcher is None:
            raise UserError("trained with matcher.enabled=False: there is no type matching model")
        schema = self._schema(labels)
        sentences = [sentence_from_text(str(i), text) for i, text in enumerate(_checked(texts))]
        return [
            {schema.names[k]: float(row[k]) for k in np.argsort(-row, kind="stable")}
            for row in self._similarities(sentences, schema)
        ]

    def recognize_types(self, texts: Sequence[str], labels: Labels | None = None) -> list[dict[str, float]]:
        """The types that the generator itself finds in each text, by the auxiliary task (§3.4), and their
        probabilities, in schema order. Only of use with a model that was trained on that task
        (`generator.type_recognition` above 0)."""
        sentences = [sentence_from_text(str(i), text) for i, text in enumerate(_checked(texts))]
        return self.name_types(sentences, self._schema(labels))

    def name_types(
        self, sentences: Sequence[Sentence], schema: Schema | None = None
    ) -> list[dict[str, float]]:
        """As `recognize_types`, of sentences."""
        schema = schema or self.schema
        if schema not in self._type_recognizers:
            self._type_recognizers[schema] = make_type_recognizer(
                self.config, self._restored.generator, self._features_of(schema), self._mesh
            )
        recognizer = self._type_recognizers[schema]
        return recognizer(self._restored.generator_params, sentences, self.temperature)

    def explain(
        self, texts: Sequence[str], labels: Labels | None = None, threshold: float | None = None
    ) -> list[dict[str, Any]]:
        """Entities with an explanation (§3.5). Only of use with a model that was trained to give some.

        Args:
          texts, labels, threshold: as for `predict`.

        Returns:
          Per text, {"entities", "explanation"}: as `predict` gives them, and a line for each sentence.
        """
        schema = self._schema(labels)
        out: list[dict[str, Any]] = [{"entities": [], "explanation": ""} for _ in _checked(texts)]
        for group in _groups(_sentences(texts), 1024):
            found, _ = self.recognize([sentence for _, sentence, _ in group], schema, threshold, explain=True)
            for (i, sentence, is_last), result in zip(group, found, strict=True):
                out[i]["entities"] += _spans(sentence, result.above(self.config.decode.threshold))
                out[i]["explanation"] += result.explanation + ("" if is_last else "\n")
        return out

    def recognize(
        self,
        sentences: Sequence[Sentence],
        schema: Schema | None = None,
        threshold: float | None = None,
        explain: bool = False,
    ) -> tuple[list[Recognized], list[tuple[str, ...]] | None]:
        """What is found in each sentence, of whatever score, and its T′ (None without type matching)."""
        schema = schema or self.schema
        matched = None
        if self._matcher is not None:
            delta = self.threshold if threshold is None else threshold
            matched = [matched_types(row, schema, delta) for row in self._similarities(sentences, schema)]
        recognizer, params = self._recognizer(schema, explain), self._restored.generator_params
        return recognizer(params, sentences, matched, self.temperature), matched

    def _similarities(self, sentences: Sequence[Sentence], schema: Schema) -> np.ndarray:
        assert self._matcher is not None
        return self._matcher.similarities(self._restored.matcher_params, [s.words for s in sentences], schema)

    def _features_of(self, schema: Schema) -> GeneratorFeatures:
        old = self.features
        return GeneratorFeatures(old.word_ids, schema, old.max_source, old.max_target)

    def _recognizer(self, schema: Schema, explain: bool = False) -> Recognizer:
        if (schema, explain) not in self._recognizers:
            self._recognizers[schema, explain] = make_recognizer(
                self.config, self._restored.generator, self._features_of(schema), self._mesh, explain
            )
        return self._recognizers[schema, explain]

    def _schema(self, labels: Labels | None) -> Schema:
        if labels is None:
            return self.schema
        described = labels if isinstance(labels, Mapping) else dict.fromkeys(labels, "")
        return Schema("labels", tuple(EntityType(name, text) for name, text in described.items()))


def _checked(texts: Sequence[str]) -> Sequence[str]:
    if isinstance(texts, str):
        raise TypeError("predict takes a list of texts; wrap a single one: [text]")
    return texts


def _probability(min_score: float) -> float:
    if not 0 <= min_score <= 1:
        raise UserError(f"min_score={min_score}: a score lies between 0 and 1")
    return min_score


# A sentence, the number of its text, and whether it is the text's last.
_Numbered = tuple[int, Sentence, bool]


# Words that are prepared at a time, whatever the number of sentences.
_WORDS = 1 << 17


def _sentences(texts: Iterable[str]) -> Iterator[_Numbered]:
    for i, text in enumerate(texts):
        sentences = sentences_from_text(str(i), text)
        sentence = next(sentences)
        for following in sentences:
            yield i, sentence, False
            sentence = following
        yield i, sentence, True


def _groups(sentences: Iterable[_Numbered], size: int) -> Iterator[list[_Numbered]]:
    group: list[_Numbered] = []
    words = 0
    for numbered in sentences:
        group.append(numbered)
        words += len(numbered[1].words)
        if len(group) == size or words >= _WORDS:
            yield group
            group, words = [], 0
    if group:
        yield group


def _spans(sentence: Sentence, result: Recognized) -> list[dict[str, Any]]:
    found = zip(result.entities, result.scores, strict=True)
    return [{**sentence.span_json(entity), **score.to_json()} for entity, score in found]
