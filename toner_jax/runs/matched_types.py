"""The T′ stage (§3.2): chooses δ and writes T′ of the sentences that the generator is trained and selected on.

T′ of the sentences that are evaluated is the evaluate stage's: it may have another δ, `decode.type_threshold`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toner_jax.common.console import say
from toner_jax.common.files import write_atomically
from toner_jax.common.memory import told_of_memory
from toner_jax.errors import UserError
from toner_jax.inference.matching import TypeMatcher, matched_types
from toner_jax.parallel.processes import is_first
from toner_jax.pipeline.features import present_types
from toner_jax.runs import setup
from toner_jax.runs.marker import digest_of, stage_result
from toner_jax.runs.matcher import FOLDER as MATCHER
from toner_jax.runs.matcher import choose_delta, type_scores
from toner_jax.runs.stage import Run
from toner_jax.runs.view import Reads, Settings
from toner_jax.schema import Schema, Sentence

FOLDER = "types"

READS = Reads(
    result=("dtype", "matcher.type_threshold", "matcher.type_threshold_beta"),
    earlier=(
        "matcher.enabled",
        "matcher.dropout",  # of the model, which is only run forward here
    ),
    manner=(
        "tokenizer.backend",  # the ids are the same
        "eval.batch_size",  # sentences encoded at a time: their cosines are the same up to rounding
        "sharding",  # where parameters live: the same sums, up to rounding
    ),
)


@dataclass(frozen=True)
class Matched:
    """T′ of N sentences.

    Attributes:
      types: of each sentence, by descending similarity.
      similarities: [N][K], the cosines behind them, in schema order.
    """

    types: Sequence[tuple[str, ...]]
    similarities: Sequence[Sequence[float]]


@dataclass(frozen=True)
class RestoredMatcher:
    """The type matching model with the weights of the step that its stage chose."""

    matcher: TypeMatcher
    params: Any

    def match(self, sentences: Sequence[Sentence], schema: Schema, delta: float) -> Matched:
        """T′ at δ = `delta`."""
        rows = self.matcher.similarities(self.params, [s.words for s in sentences], schema)
        return at(rows, schema, delta)


def at(similarities: np.ndarray, schema: Schema, delta: float) -> Matched:
    """T′ of cosines [N, K] at δ = `delta`."""
    types = [matched_types(row, schema, delta) for row in similarities]
    return Matched(types, [[round(float(value), 6) for value in row] for row in similarities])


def restore_matcher(config: Settings, run: Run, batch_size: int) -> RestoredMatcher:
    """The matcher of a run whose matcher stage is complete, for `batch_size` sentences at a time."""
    encoder, result = setup.build_matcher(config, run.workdir, run.mesh), stage_result(run.workdir, MATCHER)
    params = setup.restore_params(run.workdir / MATCHER, result["step"], encoder, run.mesh, config.sharding)
    # What is wrong with descriptions was said before the run began (toner_jax.runs.checks).
    features = setup.matcher_features(config, run.workdir / setup.TOKENIZERS, encoder, told=(run.schema,))
    return RestoredMatcher(TypeMatcher(encoder, features, run.mesh, batch_size), params)


def write_training_types(config: Settings, run: Run) -> dict[str, Any]:
    """Chooses δ, and writes it and T′ of train and dev.

    Returns:
      {"type_threshold", "from", "dev", "identity"}: δ, whether it was set or chosen on dev, type P/R/F on dev, and a
      digest of what the generator is trained with, T′ of train: the last bits of δ, which depend on the machine, have
      no part in it.
    """
    schema, dev = run.schema, run.splits["dev"]
    restored = restore_matcher(config, run, config.eval.batch_size)
    matcher = restored.matcher
    with told_of_memory(f"{FOLDER}: T′", "lower eval.batch_size"):
        similarities = {
            name: matcher.similarities(restored.params, [s.words for s in run.splits[name]], schema)
            for name in ("train", "dev")
        }
    delta, source = choose_delta(config, similarities["dev"], present_types(dev, schema))
    scores = type_scores(similarities["dev"], dev, schema, delta, config.matcher.type_threshold_beta)
    chosen = {"type_threshold": delta, "from": source, "dev": scores}
    matched = {name: at(rows, schema, delta) for name, rows in similarities.items()}
    if is_first():
        write_atomically(run.workdir / FOLDER / "thresholds.json", json.dumps(chosen, indent=2) + "\n")
        for name, found in matched.items():
            write_types(types_path(run.workdir, name), run.splits[name], found, schema)
    if shortened := sum(sum(matcher.shortened(run.splits[name])) for name in matched):
        say(f"{FOLDER}: {shortened} inputs were longer than {matcher.features.max_length} pieces")
    say(f"{FOLDER}: δ = {delta:.4f} (from {source}); types of T′ on dev: F1 {scores['type_f1']:.4f}")
    return {**chosen, "identity": digest_of(matched["train"].types)}


def types_path(workdir: Path, split: str) -> Path:
    """Where the stage keeps T′ of a split."""
    return workdir / FOLDER / f"{split}.jsonl"


def write_types(path: Path, sentences: Sequence[Sentence], matched: Matched, schema: Schema) -> None:
    """One JSON object a sentence: its id, T′ and the cosines."""
    lines = (
        json.dumps({"id": s.id, "types": types, "similarities": dict(zip(schema.names, row, strict=True))})
        for s, types, row in zip(sentences, matched.types, matched.similarities, strict=True)
    )
    write_atomically(path, "".join(f"{line}\n" for line in lines))


def read_types(path: Path, sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
    """T′ of each sentence, as `write_types` wrote it.

    Raises:
      UserError: the file is missing, damaged, or of other sentences.
    """
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        by_id: Mapping[str, Any] = {entry["id"]: entry for entry in entries}
        return [tuple(by_id[s.id]["types"]) for s in sentences]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: does not hold T′ of these sentences ({error!r}); start the run again"
        ) from error
