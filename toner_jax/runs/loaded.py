"""Both trained models of a run, ready for sentences."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from toner_jax.common.memory import told_of_memory
from toner_jax.errors import UserError
from toner_jax.inference.matching import TypeMatcher, checked_cosine
from toner_jax.inference.recognize import mark_shortened
from toner_jax.parallel.processes import several
from toner_jax.runs import setup
from toner_jax.runs.named import demonstration, find_model, warning_of_demonstration
from toner_jax.runs.options import SMALLER_DECODING, SMALLER_MODEL
from toner_jax.runs.recognizers import Recognizers, reading_of
from toner_jax.runs.restore import restore, with_light_tokenizers
from toner_jax.runs.type_sources import FROM_MATCHER, TypeSource
from toner_jax.schema import EntityType, Schema, Sentence
from toner_jax.tasks.recognized import Recognized, checked_score
from toner_jax.tasks.type_recognition import TypeRecognition


class Loaded:
    """Both trained models, as asked about sentences.

    Attributes:
      config, schema, word_ids, reading: of the run.
      step: the generator's; `tasks`, the names of those it was trained on.
      mixed: what of the run's stages does not belong together, a line each.
      type_threshold: δ; `calibration_temperature`, that of the scores.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        config: ConfigDict | None = None,
        step: int | None = None,
        accept_mixed: bool = False,
        revision: str | None = None,
    ):
        """Reads a finished run, or a model that was saved.

        Args:
          folder: a work directory, a folder from `save_pretrained`, "quickstart", the demonstration that the package
            brings, or user/model of the Hugging Face hub.
          config: another configuration than its own, of which `decode`, `text`, `dtype`, `mesh` and `sharding` are
            heeded. Where the mesh is not for the devices here, each has the whole model and its share of the texts.
          step: the generator's step, of a work directory; None for the one chosen on dev.
          accept_mixed: stages of a work directory that were made from other parts than lie there are a warning,
            which `mixed` keeps.
          revision: of a model of the hub: a branch, tag or commit.

        Raises:
          UserError: there is no such model, it is damaged, or holds an unfinished run, or stages that do not belong
            together; or `text.max_source` leaves no room for text.
        """
        place = find_model(folder, revision)
        self._source = str(place.absolute()), config and config.to_dict(), step, accept_mixed
        with told_of_memory(f"{folder}: loading", SMALLER_MODEL):
            self._restored = r = restore(place, None, config, step, accept_mixed)
        # Several devices have to run programs in the same order; on one, threads need not wait for each other.
        self._turn = threading.RLock() if r.mesh.size > 1 or several() else nullcontext()
        self.config, self.schema, self.step, self.tasks = r.config, r.schema, r.step, r.tasks
        self.mixed = r.mixed
        self.type_threshold, self.calibration_temperature = r.type_threshold, r.calibration_temperature
        self.word_ids = setup.generator_word_ids(light := with_light_tokenizers(r.config), r.tokenizers)
        self.reading = reading_of(r.config)
        self._recognizers = Recognizers(r.config, r.generator, r.mesh, self.word_ids, r.schema)
        self._recognizers(self.tasks[0], r.schema)  # raises at once if the types leave no room for text
        self._matcher: TypeMatcher | None = None
        if r.matcher is not None:
            features = setup.matcher_features(light, r.tokenizers, r.matcher)
            self._matcher = TypeMatcher(r.matcher, features, r.mesh, r.config.decode.batch_size)

    def recognize(
        self,
        sentences: Sequence[Sentence],
        schema: Schema | None = None,
        threshold: float = 0.0,
        type_threshold: float | None = None,
        task: str = "",
        types: TypeSource = FROM_MATCHER,
        *,
        explain: bool = False,
    ) -> tuple[list[Recognized], list[tuple[str, ...]] | None]:
        """What a task finds in each sentence, and its T′ (None without type matching).

        Args:
          threshold: the least score of what counts; by default, all does.
          task: of `toner_jax.tasks.registry`; "" for the one that finds entities.
          type_threshold: δ of T′; None for the run's.
          types: where T′ comes from (`toner_jax.runs.type_sources`).
          explain: whether explanations are written, too, by a generator that was trained to.

        Raises:
          UserError: a threshold that is no probability, a type_threshold that is no cosine, or memory that runs out.
        """
        checked_score(threshold)
        delta = self.type_threshold if type_threshold is None else checked_cosine(type_threshold)
        schema = schema or self.schema
        with self._turn, told_of_memory("decoding", SMALLER_DECODING):
            matched = None
            if (matcher := self._matcher) is not None:
                own = self._restored.matcher_params
                top_k = self.config.types.top_k
                matched = types.find(sentences, lambda: matcher.types(own, sentences, schema, delta, top_k))
            recognizer = self._recognizers(task or self.tasks[0], schema, explain=explain)
            found = recognizer(
                self._restored.generator_params, sentences, matched, self.calibration_temperature
            )
            if matcher is not None and types.asks_matcher:
                found = mark_shortened(found, matcher.shortened(sentences))
        return [result.above(threshold) for result in found], matched

    @property
    def note(self) -> str:
        """What everyone who uses it has to know; "" for nothing."""
        return warning_of_demonstration() if self._source[0] == str(demonstration().absolute()) else ""

    @property
    def matches(self) -> bool:
        """Whether it has a type matcher."""
        return self._matcher is not None

    def preparations(self) -> list[Callable[[], None]]:
        """What compiles the programs that `recognize` calls, of the trained types and of any others, one by one, or
        finds them in the cache: afterwards no text waits for that. Programs of free decoding, and of explanations, are
        compiled as texts come."""
        r, steps = self._restored, list[Callable[[], object]]()
        if self._matcher is not None:
            steps += self._matcher.preparations(r.matcher_params)
        for schema in (self.schema, Schema("labels", (EntityType("any other", ""),))):
            recognizer = self._recognizers(self.tasks[0], schema)
            steps += recognizer.preparations(r.generator_params)

        def guarded(step: Callable[[], object]) -> Callable[[], None]:
            def run() -> None:
                with self._turn, told_of_memory("decoding", SMALLER_DECODING):
                    step()

            return run

        return [guarded(step) for step in steps]

    def name_types(
        self, sentences: Sequence[Sentence], schema: Schema | None = None
    ) -> list[dict[str, float]]:
        """The types that the generator itself finds in each sentence, by the auxiliary task (§3.4), and their
        probabilities, in schema order."""
        with self._turn, told_of_memory("recognizing types", SMALLER_DECODING):
            recognizer = self._recognizers(TypeRecognition.name, schema or self.schema)
            found = recognizer(self._restored.generator_params, sentences, None, self.calibration_temperature)
        return [dict(r.types) for r in found]

    def similarities(self, sentences: Sequence[Sentence], schema: Schema) -> np.ndarray:
        """The cosines of Eq. 3, fp32 [N, K], of sentences and a schema's types.

        Raises:
          UserError: the run was trained without type matching.
        """
        if self._matcher is None:
            raise UserError("trained with matcher.enabled=False: there is no type matching model")
        with self._turn, told_of_memory("type matching", SMALLER_DECODING):
            return self._matcher.similarities(
                self._restored.matcher_params, [s.words for s in sentences], schema
            )
