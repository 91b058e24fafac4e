"""The public API: both trained models, ready for text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import jax
import numpy as np
from ml_collections import ConfigDict

from toner_jax.errors import UserError
from toner_jax.inference.matching import TypeMatcher, checked_cosine, matched_types
from toner_jax.inference.recognize import Recognizer, mark_shortened
from toner_jax.inference.texts import Text, sentence_groups
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs import setup
from toner_jax.runs.recognizers import decode_options, make_recognizer, reading_of
from toner_jax.runs.restore import restore, save_pretrained
from toner_jax.schema import EntityType, Schema, Sentence
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.explanations import Explanations
from toner_jax.tasks.recognized import Coverage, Recognized, checked_score
from toner_jax.tasks.registry import make_task
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.text.words import sentence_from_text

Labels = Sequence[str] | Mapping[str, str]


class Part(NamedTuple):
    """What `Ner.stream` found in a sentence.

    Attributes:
      text: the number of its text.
      entities: as `Ner.predict` gives them.
      is_last: whether it is the text's last.
      coverage: how much of it was read.
    """

    text: int
    entities: list[dict[str, Any]]
    is_last: bool
    coverage: Coverage


class Ner:
    """Both trained models, ready for text; `toner_jax.load` makes one."""

    def __init__(self, folder: str | Path, *, config: ConfigDict | None = None, step: int | None = None):
        """Reads a work directory or a folder from `save_pretrained`.

        Args:
          config: another configuration than its own, of which `decode`, `text` and `dtype` are heeded.
          step: the generator's step, of a work directory; None for the one chosen on dev.

        Raises:
          UserError: the folder is neither, is damaged, or holds an unfinished run; or `text.max_source` leaves no
            room for text.
        """
        mesh = make_mesh(jax.device_count())
        self._restored = r = restore(Path(folder), mesh, config, step)
        self.config, self.schema, self.step, self.tasks = r.config, r.schema, r.step, r.tasks
        self.type_threshold, self.calibration_temperature = r.type_threshold, r.calibration_temperature
        self.word_ids = setup.generator_word_ids(r.config, r.tokenizers)
        self.reading = reading_of(r.config)
        self._mesh = mesh
        self._recognizers: dict[tuple[str, Schema], Recognizer] = {}
        self._recognizer(Entities.name, r.schema)  # raises at once if the types leave no room for text
        self._matcher: TypeMatcher | None = None
        if r.matcher is not None:
            features = setup.matcher_features(r.config, r.tokenizers, r.matcher)
            self._matcher = TypeMatcher(r.matcher, features, mesh, r.config.decode.batch_size)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes both models in Hugging Face's layout; `toner_jax.load` reads them back."""
        save_pretrained(self._restored, Path(folder))

    @overload
    def predict(
        self,
        texts: Sequence[str] | None = None,
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
        *,
        words: Sequence[Sequence[str]] | None = None,
        info: Literal[False] = False,
    ) -> list[list[dict[str, Any]]]: ...

    @overload
    def predict(
        self,
        texts: Sequence[str] | None = None,
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
        *,
        words: Sequence[Sequence[str]] | None = None,
        info: Literal[True],
    ) -> list[dict[str, Any]]: ...

    def predict(
        self,
        texts: Sequence[str] | None = None,
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
        *,
        words: Sequence[Sequence[str]] | None = None,
        info: bool = False,
    ) -> list[list[dict[str, Any]]] | list[dict[str, Any]]:
        """Entities of each text.

        Args:
          texts: raw text of any length, which is read as the models were trained: a sentence at a time.
          words: instead of texts, sentences as lists of words, which are not split further.
          labels: other types to look for: names, or name → description; None for those of training.
          threshold: entities with a lower score are left out; None for the run's `decode.threshold`.
          type_threshold: δ of the matcher: T′, the types that the prompt names as likely, are those whose cosine is
            above it; None for the run's.
          info: also says how much of each text was read.

        Returns:
          Per text, in order of appearance, {"start", "end", "text", "label", "score", "type_score",
          "span_score"}: a half-open character range (of `words`: a range of them), its slice of the text (the words
          joined), the type, and the probability of the entity, that of its type, and that of its span given the type.
          With `info`, {"entities", "info"} instead: these, and `Coverage.to_json`: {"sentences", "windows",
          "words_too_long", "truncated_outputs", "unknown_pieces" (their share), "matching_shortened", "unread" (all of
          this that lost something, for people)}.

        Raises:
          UserError: a threshold that is no probability, or a type_threshold that is no cosine.
          TypeError: neither texts nor words, both, or an item that is no text and no list of words.
        """
        given = _texts_or_words(texts, words)
        found: list[list[dict[str, Any]]] = [[] for _ in given]
        coverage = [Coverage() for _ in given]
        for part in self.stream(given, labels, threshold, type_threshold):
            found[part.text] += part.entities
            coverage[part.text] += part.coverage
        if not info:
            return found
        return [
            {"entities": spans, "info": read.to_json()} for spans, read in zip(found, coverage, strict=True)
        ]

    def stream(
        self,
        texts: Iterable[Text],
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
        batch: int = 1024,
    ) -> Iterator[Part]:
        """As `predict`, in memory that does not depend on how many texts there are, or how long one is.

        Args:
          texts: raw texts, or lists of words, read as they are needed.
          batch: the most sentences that are prepared at a time.

        Yields:
          For each sentence in order, and once for a text without any, what was found in it.
        """
        least = self._least_score(threshold)
        schema = self._schema(labels)
        for group in sentence_groups(texts, batch, self.reading):
            sentences = [sentence for _, sentence, _ in group]
            found, _ = self.recognize(sentences, schema, least, type_threshold)
            for (i, sentence, is_last), result in zip(group, found, strict=True):
                yield Part(i, _spans(sentence, result), is_last, result.coverage)

    def match_types(self, texts: Sequence[str], labels: Labels | None = None) -> list[dict[str, float]]:
        """The cosine of Eq. 3 of each text and type, by descending value.

        Raises:
          UserError: the run was trained without type matching.
        """
        schema = self._schema(labels)
        sentences = self._sentences(texts)
        return [
            {schema.names[k]: float(row[k]) for k in np.argsort(-row, kind="stable")}
            for row in self._similarities(sentences, schema)
        ]

    def recognize_types(self, texts: Sequence[str], labels: Labels | None = None) -> list[dict[str, float]]:
        """The types that the generator itself finds in each text, by the auxiliary task (§3.4), and their
        probabilities, in schema order.

        Raises:
          UserError: the generator was not trained on that task.
        """
        if TypeRecognition.name not in self.tasks:
            raise UserError(
                "trained with generator.type_recognition=0: the generator was never asked for types alone; "
                "train with a share above 0, or use match_types"
            )
        sentences = self._sentences(texts)
        return self.name_types(sentences, self._schema(labels))

    def name_types(
        self, sentences: Sequence[Sentence], schema: Schema | None = None
    ) -> list[dict[str, float]]:
        """As `recognize_types`, of sentences."""
        recognizer = self._recognizer(TypeRecognition.name, schema or self.schema)
        found = recognizer(self._restored.generator_params, sentences, None, self.calibration_temperature)
        return [dict(r.types) for r in found]

    def explain(
        self,
        texts: Sequence[str],
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
    ) -> list[dict[str, Any]]:
        """Entities with an explanation (§3.5).

        Args:
          texts, labels, threshold, type_threshold: as for `predict`.

        Returns:
          Per text, {"entities", "explanation"}: as `predict` gives them, and a line for each sentence.

        Raises:
          UserError: the generator was not trained to explain.
        """
        if Explanations.name not in self.tasks:
            raise UserError(
                f"trained on {', '.join(self.tasks)}: the generator never saw an explanation; use predict, or a run "
                f"whose generator was trained on {Explanations.name}"
            )
        schema, least = self._schema(labels), self._least_score(threshold)
        out: list[dict[str, Any]] = [{"entities": [], "explanation": ""} for _ in _checked(texts)]
        for group in sentence_groups(texts, 1024, self.reading):
            sentences = [sentence for _, sentence, _ in group]
            found, _ = self.recognize(sentences, schema, least, type_threshold, Explanations.name)
            for (i, sentence, is_last), result in zip(group, found, strict=True):
                out[i]["entities"] += _spans(sentence, result)
                out[i]["explanation"] += result.explanation + ("" if is_last else "\n")
        return out

    def recognize(
        self,
        sentences: Sequence[Sentence],
        schema: Schema | None = None,
        threshold: float = 0.0,
        type_threshold: float | None = None,
        task: str = Entities.name,
    ) -> tuple[list[Recognized], list[tuple[str, ...]] | None]:
        """What a task (of `toner_jax.tasks.registry`) finds in each sentence, and its T′ (None without type matching).

        Args:
          threshold: the least score of what counts; by default, all does.
          type_threshold: δ of T′; None for the run's.

        Raises:
          UserError: a threshold that is no probability, or a type_threshold that is no cosine.
        """
        checked_score(threshold)
        delta = self.type_threshold if type_threshold is None else checked_cosine(type_threshold)
        schema = schema or self.schema
        matched = None
        if self._matcher is not None:
            matched = [matched_types(row, schema, delta) for row in self._similarities(sentences, schema)]
        recognizer, params = self._recognizer(task, schema), self._restored.generator_params
        found = recognizer(params, sentences, matched, self.calibration_temperature)
        if self._matcher is not None:
            found = mark_shortened(found, self._matcher.shortened(sentences))
        return [result.above(threshold) for result in found], matched

    def _similarities(self, sentences: Sequence[Sentence], schema: Schema) -> np.ndarray:
        if self._matcher is None:
            raise UserError("trained with matcher.enabled=False: there is no type matching model")
        return self._matcher.similarities(self._restored.matcher_params, [s.words for s in sentences], schema)

    def _sentences(self, texts: Sequence[str]) -> list[Sentence]:
        """Each text as one sentence."""
        return [sentence_from_text(str(i), text, self.reading) for i, text in enumerate(_checked(texts))]

    def _least_score(self, threshold: float | None) -> float:
        return self.config.decode.threshold if threshold is None else checked_score(threshold)

    def _recognizer(self, name: str, schema: Schema) -> Recognizer:
        if (name, schema) not in self._recognizers:
            task, options = make_task(name, self.word_ids, schema), decode_options(self.config)
            self._recognizers[name, schema] = make_recognizer(
                task, self._restored.generator, self._mesh, options
            )
        return self._recognizers[name, schema]

    def _schema(self, labels: Labels | None) -> Schema:
        if labels is None:
            return self.schema
        described = labels if isinstance(labels, Mapping) else dict.fromkeys(labels, "")
        return Schema("labels", tuple(EntityType(name, text) for name, text in described.items()))


def _checked(texts: Sequence[str]) -> Sequence[str]:
    if isinstance(texts, str):
        raise TypeError("predict takes a list of texts; wrap a single one: [text]")
    return texts


def _texts_or_words(
    texts: Sequence[str] | None, words: Sequence[Sequence[str]] | None
) -> Sequence[str] | Sequence[Sequence[str]]:
    if (texts is None) == (words is None):
        raise TypeError("predict takes texts, or words=…, one of the two")
    if words is None:
        assert texts is not None
        return _checked(texts)
    if isinstance(words, str) or any(isinstance(sentence, str) for sentence in words):
        raise TypeError("words: expected a list of sentences, each a list of words; texts go without words=")
    return words


def _spans(sentence: Sentence, result: Recognized) -> list[dict[str, Any]]:
    """The entities as users get them: in characters, or of a sentence that came as words, in words."""
    found = zip(result.entities, result.scores, strict=True)
    if sentence.raw:
        return [{**sentence.span_json(entity), **score.to_json()} for entity, score in found]
    return [
        {"start": e.start, "end": e.end, "text": sentence.surface(e), "label": e.type, **score.to_json()}
        for e, score in found
    ]
