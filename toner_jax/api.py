"""The public API: both trained models, ready for text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, overload

from ml_collections import ConfigDict

from toner_jax.errors import UserError
from toner_jax.evaluation.highlighting import Shown
from toner_jax.inference.labels import Asked, Labels, read_labels
from toner_jax.inference.predicted import (
    Part,
    PredictedEntity,
    labelled_cosines,
    part_of,
    predicted_entities,
)
from toner_jax.inference.texts import Text, checked_texts, sentence_groups, texts_or_words, whole_texts
from toner_jax.runs.export import hub
from toner_jax.runs.loaded import Loaded
from toner_jax.runs.restore import save_pretrained
from toner_jax.schema import Sentence
from toner_jax.tasks.explanations import Explanations
from toner_jax.tasks.recognized import Coverage, checked_score
from toner_jax.tasks.type_recognition import TypeRecognition


class Ner(Loaded):
    """Both trained models, ready for text; `toner_jax.load` makes one."""

    def __repr__(self) -> str:
        return f"Ner({self._source[0]!r}, step={self.step}, types={list(self.schema.names)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, self._source

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As `predict`."""
        return self.predict(*args, **kwargs)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes both models in Hugging Face's layout; `toner_jax.load` reads them back."""
        save_pretrained(self._restored, Path(folder))

    def push_to_hub(self, repo_id: str, *, private: bool = False, branch: str | None = None) -> str:
        """Uploads both models with their card, as `save_pretrained` writes them; `toner_jax.load(repo_id)` reads them.

        Args:
          repo_id: user/model, created where there is none.
          private: of a repository that is created.
          branch: to commit to; None for the main one.

        Returns:
          The commit's address.

        Raises:
          UserError: the hub refuses it, or cannot be reached.
        """

        def save(folder: Path) -> None:
            save_pretrained(self._restored, folder, name=repo_id)

        return hub.push(save, repo_id, private=private, branch=branch)

    @overload
    def predict(
        self,
        texts: Iterable[str] | None = None,
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
        *,
        words: Iterable[Sequence[str]] | None = None,
        flat: bool = False,
        info: Literal[False] = False,
    ) -> list[list[PredictedEntity]]: ...

    @overload
    def predict(
        self,
        texts: Iterable[str] | None = None,
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
        *,
        words: Iterable[Sequence[str]] | None = None,
        flat: bool = False,
        info: Literal[True],
    ) -> list[dict[str, Any]]: ...

    def predict(
        self,
        texts: Iterable[str] | None = None,
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
        *,
        words: Iterable[Sequence[str]] | None = None,
        flat: bool = False,
        info: bool = False,
    ) -> list[list[PredictedEntity]] | list[dict[str, Any]]:
        """Entities of each text.

        Args:
          texts: raw texts of any length, in anything that can be iterated over; they are read as the models were
            trained, a sentence at a time.
          words: instead of texts, sentences as lists of words, which are not split further.
          labels: other types to look for: names in any spelling, name → description, or a `Schema`; None for those of
            training. A trained type's name or tag brings its description.
          threshold: entities with a lower score are left out; None for the run's `decode.threshold`.
          type_threshold: δ of T′, the types that the prompt names as likely: their cosine is above it; None: the run's.
          flat: of entities that overlap, only the likeliest; none has two types.
          info: also says how much of each text was read.

        Returns:
          The entities of each text, in order of appearance. With `info`, for each {"entities", "info"}: these, and what
          `Coverage.to_json` says.

        Raises:
          UserError: a threshold that is no probability, a type_threshold that is no cosine, labels that name no
            types, or memory that runs out.
          TypeError: neither texts nor words, both, or an item that is no text and no list of words.
        """
        given = texts_or_words(texts, words)
        found: list[list[PredictedEntity]] = [[] for _ in given]
        coverage = [Coverage() for _ in given]
        for part in self.stream(given, labels, threshold, type_threshold, flat=flat):
            found[part.text] += part.entities
            coverage[part.text] += part.coverage
        said = zip(found, coverage, strict=True)
        return [{"entities": spans, "info": read.to_json()} for spans, read in said] if info else found

    def stream(
        self,
        texts: Iterable[Text],
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
        batch: int = 1024,
        *,
        flat: bool = False,
        explain: bool = False,
    ) -> Iterator[Part]:
        """As `predict`, in memory that does not depend on how many texts there are, or how long one is.

        Args:
          texts: raw texts, or lists of words, read as they are needed.
          batch: the most sentences that are prepared at a time.
          explain: whether each part has an explanation, too.

        Yields:
          For each sentence in order, and once for a text without any, what was found in it.
        """
        least = self._least_score(threshold)
        asked = self._asked(labels)
        if explain:
            self._check_explains()
        for group in sentence_groups(texts, batch, self.reading):
            sentences = [sentence for _, sentence, _ in group]
            found, _ = self.recognize(sentences, asked.schema, least, type_threshold, explain=explain)
            for numbered, result in zip(group, found, strict=True):
                yield part_of(numbered, result, asked, flat)

    def show(
        self,
        texts: str | Iterable[str],
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
        *,
        flat: bool = False,
    ) -> Shown:
        """What is found in a text, or in several, to look at: a notebook colours the entities, elsewhere they stand in
        brackets.

        Args:
          texts: one or more; the other arguments as for `predict`.
        """
        given = checked_texts([texts] if isinstance(texts, str) else texts)
        found = self.predict(given, labels, threshold, type_threshold, flat=flat)
        return Shown(given, found, self.labels(labels))

    def labels(self, labels: Labels | None = None) -> tuple[str, ...]:
        """The labels that `predict` gives entities when it is asked for these; None: those of training."""
        return tuple(self._asked(labels).written.values())

    def match_types(self, texts: Iterable[str], labels: Labels | None = None) -> list[dict[str, float]]:
        """The cosine of Eq. 3 of each text and type, by descending value.

        Raises:
          UserError: the run was trained without type matching.
        """
        asked = self._asked(labels)
        rows = self.similarities(self._sentences(texts), asked.schema)
        return [labelled_cosines(row, asked) for row in rows]

    def recognize_types(self, texts: Iterable[str], labels: Labels | None = None) -> list[dict[str, float]]:
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
        asked = self._asked(labels)
        named = self.name_types(self._sentences(texts), asked.schema)
        return [{asked.written[name]: p for name, p in types.items()} for types in named]

    def explain(
        self,
        texts: Iterable[str],
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
        self._check_explains()
        asked, least = self._asked(labels), self._least_score(threshold)
        texts = checked_texts(texts)
        out: list[dict[str, Any]] = [{"entities": [], "explanation": ""} for _ in texts]
        for group in sentence_groups(texts, 1024, self.reading):
            sentences = [sentence for _, sentence, _ in group]
            found, _ = self.recognize(sentences, asked.schema, least, type_threshold, explain=True)
            for (i, sentence, is_last), result in zip(group, found, strict=True):
                out[i]["entities"] += predicted_entities(sentence, result, asked)
                out[i]["explanation"] += result.explanation + ("" if is_last else "\n")
        return out

    def _check_explains(self) -> None:
        if Explanations.name not in self.tasks:
            raise UserError(
                f"trained on {', '.join(self.tasks)}: the generator never saw an explanation; train with "
                "generator.explanations"
            )

    def _sentences(self, texts: Iterable[str]) -> list[Sentence]:
        """Each text as one sentence."""
        return [sentence for _, sentence, _ in whole_texts(checked_texts(texts), self.reading)]

    def _least_score(self, threshold: float | None) -> float:
        return self.config.decode.threshold if threshold is None else checked_score(threshold)

    def _asked(self, labels: Labels | None) -> Asked:
        return read_labels(self.schema if labels is None else labels, self.schema)


def _load(folder: str, config: dict[str, Any] | None, step: int | None, accept_mixed: bool) -> Ner:
    chosen = None if config is None else ConfigDict(config)
    return Ner(folder, config=chosen, step=step, accept_mixed=accept_mixed)
