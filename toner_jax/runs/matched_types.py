"""The T′ stage (§3.2): chooses δ and writes T′ of the sentences that the generator is trained and selected on.

T′ of the sentences that are evaluated is the evaluate stage's: it may have another δ, `decode.type_threshold`.
"""

from __future__ import annotations

import json
from typing import Any

from toner_jax.common.console import say
from toner_jax.common.files import write_atomically
from toner_jax.common.memory import told_of_memory
from toner_jax.evaluation.scoring import type_counts
from toner_jax.parallel.processes import is_first
from toner_jax.pipeline.features import present_types
from toner_jax.runs.cross_fitting import held_out_types
from toner_jax.runs.marker import digest_of
from toner_jax.runs.matcher import choose_delta, restore_matcher, type_scores
from toner_jax.runs.stage import Run
from toner_jax.runs.type_sources import CROSS_FITTED, from_source
from toner_jax.runs.type_sources import MATCHER as MATCHER_SOURCE
from toner_jax.runs.types_files import FOLDER, Matched, matched_at, types_path, write_types
from toner_jax.runs.view import Reads, Settings

READS = Reads(
    result=(
        "dtype",
        "matcher.type_threshold",
        "matcher.type_threshold_beta",
        "types.training",
        "types.evaluation",
        "types.top_k",
    ),
    earlier=(
        "matcher.enabled",
        "seed",  # of T′ at random
        "matcher.dropout",  # of the model, which is only run forward here
    ),
    manner=(
        "tokenizer.backend",  # the ids are the same
        "eval.batch_size",  # sentences encoded at a time: their cosines are the same up to rounding
        "sharding",  # where parameters live: the same sums, up to rounding
    ),
)


def write_training_types(config: Settings, run: Run) -> dict[str, Any]:
    """Chooses δ, and writes it and T′ of train and dev.

    Returns:
      {"type_threshold", "from", "dev", "identity"}: δ, whether it was set or chosen on dev, the matcher's type P/R/F on
      dev, and a digest of what the generator is trained with, T′ of train: the last bits of δ, which depend on the
      machine, have no part in it.
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
    top_k = config.types.top_k
    own = {name: matched_at(rows, schema, delta, top_k) for name, rows in similarities.items()}
    scores = type_scores(dev, own["dev"].types, config.matcher.type_threshold_beta)
    chosen = {"type_threshold": delta, "from": source, "dev": scores}
    sources = {"train": config.types.training, "dev": config.types.evaluation}
    matched = {name: _from(sources[name], name, config, run, found) for name, found in own.items()}
    if is_first():
        write_atomically(run.workdir / FOLDER / "thresholds.json", json.dumps(chosen, indent=2) + "\n")
        for name, found in matched.items():
            write_types(types_path(run.workdir, name), run.splits[name], found, schema)
    if shortened := sum(sum(matcher.shortened(run.splits[name])) for name in matched):
        say(f"{FOLDER}: {shortened} inputs were longer than {matcher.features.max_length} pieces")
    say(f"{FOLDER}: δ = {delta:.4f} (from {source}); types of T′ on dev: F1 {scores['type_f1']:.4f}")
    for name, other in sources.items():
        if other != MATCHER_SOURCE:
            counts = type_counts(run.splits[name], matched[name].types)
            say(f"{FOLDER}: T′ of {name} is {other}: F1 {counts.f1:.4f}")
    return {**chosen, "identity": digest_of(matched["train"].types)}


def _from(source: str, split: str, config: Settings, run: Run, own: Matched) -> Matched:
    """T′ of a split from its source; what the matcher finds is `own`, with the cosines that stay beside it."""
    if source == CROSS_FITTED:
        return held_out_types(run)
    sentences = run.splits[split]
    found = from_source(source, split, sentences, own, run.schema, config.seed)
    return Matched([()] * len(sentences), own.similarities) if found is None else found
