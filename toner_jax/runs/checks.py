"""What would stop a training, or leave it with less than was meant, found before any training begins.

A dry run and every start go through here, so both say the same of it. Only stages that are about to run are looked
at: a finished run that is evaluated again needs nothing of what its training needed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from toner_jax.atoms import has_alphanumeric
from toner_jax.common.console import in_bytes, warn
from toner_jax.common.memory import available_bytes
from toner_jax.config_keys import get
from toner_jax.errors import ParameterError, UserError
from toner_jax.models import registry
from toner_jax.models.architecture import Kind
from toner_jax.parallel import processes
from toner_jax.parallel.mesh import batch_divisor, round_batch
from toner_jax.pipeline.features import GeneratorFeatures
from toner_jax.pipeline.samples import dev_sample, matcher_sentences
from toner_jax.runs import generator, matcher, options, setup
from toner_jax.runs.export import pretrained
from toner_jax.runs.view import Settings
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks.recognized import MOST_UNKNOWN
from toner_jax.text.ids import unread_tokens
from toner_jax.training.optimizer import OptimizerOptions, make_optimizer
from toner_jax.training.state import abstract_state


@dataclass(frozen=True)
class Planned:
    """What is about to be trained.

    Attributes:
      folder: what `setup.prepare` made.
      splits, schema, mesh, explanations: as a `Run` has them.
    """

    folder: Path
    splits: Mapping[str, Sequence[Sentence]]
    schema: Schema
    mesh: Mesh
    explanations: Mapping[str, str] | None = None


def check_training(config: Settings, planned: Planned, stages: Collection[str]) -> None:
    """Looks at the stages among `stages` that train.

    Raises:
      UserError: what would stop one.
    """
    checks = {matcher.FOLDER: _check_matcher, generator.FOLDER: _check_generator}
    for name, check in checks.items():
        if name in stages:
            check(config, planned)


def _check_matcher(config: Settings, planned: Planned) -> None:
    train, dev = planned.splits["train"], planned.splits["dev"]
    matcher_sentences(train, empty=config.matcher.null_logit)
    if not any(s.gold for s in dev):
        raise UserError(_no_entities("the dev split has no entities", "neither δ nor a step"))
    _check_batch(config, "matcher", planned.mesh)
    model = setup.build_matcher(config, planned.folder, planned.mesh)
    _check_weights(config, "matcher", model)
    _check_gathered(config, "matcher", model, options.matcher_optimizer(config))
    features = setup.matcher_features(config, planned.folder / setup.TOKENIZERS, model)
    _tell_unread("matcher", unread_tokens(features.tokenizer.added, by_atoms=False))
    features.tell_long_descriptions(planned.schema)
    features.prepare(w for s in train for w in s.words)
    rows = [features.encode(s.words).tolist() for s in train]
    _tell_unknown(
        "matcher", rows, features.tokenizer.unk_id, "matcher.checkpoint=sentence-transformers/LaBSE"
    )


def _check_generator(config: Settings, planned: Planned) -> None:
    _check_dev(config, planned.splits["dev"])
    _check_batch(config, "generator", planned.mesh)
    model = setup.build_generator(config, planned.folder, planned.schema, planned.mesh)
    _check_weights(config, "generator", model)
    _check_gathered(config, "generator", model, options.generator_optimizer(config))
    features = setup.generator_features(
        config, planned.folder / setup.TOKENIZERS, planned.schema, planned.explanations
    )
    for task in features.tasks:
        task.grammar()  # which spells every type
    word_ids, train = features.word_ids, planned.splits["train"]
    _tell_symbols(config, train)
    _tell_unread("generator", word_ids.unread_tokens())
    features.prepare(train)
    rows = [word_ids.words(s.words) for s in train]
    _tell_unknown("generator", rows, word_ids.tokenizer.unk_id, "generator.checkpoint=google/mt5-base")
    for sentence in train:
        features.split(sentence)
    for split in ("dev", "test"):
        _tell_long_words(features, split, planned.splits[split])


def _tell_symbols(config: Settings, train: Sequence[Sentence]) -> None:
    spans = (s.words[e.start : e.end] for s in train for e in s.entities)
    symbols = sum(not any(map(has_alphanumeric, words)) for words in spans)
    if symbols and not config.decode.symbols:
        warn(
            f"{symbols:,} entities of train have neither a letter nor a digit, and such are not found: set "
            "decode.symbols=True"
        )


def _check_dev(config: Settings, dev: Sequence[Sentence]) -> None:
    """Raises: UserError: no step of the generator can be chosen on dev."""
    if not any(s.entities for s in dev):
        reachable = " that can be reached" if any(s.unreachable for s in dev) else ""
        raise UserError(_no_entities(f"the dev split has no entities{reachable}", "no step"))
    most = config.eval.dev_max_sentences
    chosen = dev_sample(config.seed, len(dev), most)
    if not any(dev[i].entities for i in chosen):
        raise UserError(
            f"the {len(chosen)} sentences of the dev split that are drawn for eval.dev_max_sentences={most} have no "
            "entities: no step can be chosen on them; raise it, or set eval.dev_max_sentences=0 for all"
        )


def _no_entities(what: str, unchosen: str) -> str:
    return f"{what}: {unchosen} can be chosen on it; label some of its sentences, or name another file in data.dev"


def _check_weights(config: Settings, kind: Kind, model: Any) -> None:
    """Makes sure that random weights can be drawn, or that the checkpoint's are there."""
    shapes = jax.eval_shape(registry.initializer(model), jax.random.key(0))
    if checkpoint := getattr(config, kind).checkpoint:
        pretrained.check_weights(checkpoint, registry.of(model.config).hf, shapes)


def _check_gathered(config: Settings, kind: Kind, model: Any, optimizer: OptimizerOptions) -> None:
    """Raises: UserError: processes share no files, and the first's host cannot hold the whole state, which it
    gathers and Orbax copies before it is written."""
    if processes.share_files():
        return
    tx = make_optimizer(optimizer, 1)
    state = abstract_state(registry.initializer(model), tx, config.dropout_prng)
    whole = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    room = available_bytes()
    if 2 * whole > room:
        raise UserError(
            f"processes.share_files=false: the first process gathers the {kind}'s parameters and moments, "
            f"{in_bytes(whole)}, twice while they are written, and has {in_bytes(room)} of memory left; take a "
            "work directory that all processes see, or a host with more memory"
        )


def _check_batch(config: Any, kind: Kind, mesh: Mesh) -> None:
    """Raises: ParameterError: a batch does not divide into its microbatches."""
    key, places = f"{kind}.batch_size", batch_divisor(mesh)
    size = get(config, key)
    if (rounded := round_batch(size, mesh)) != size:
        warn(f"{key}={size} is no multiple of mesh.data·mesh.fsdp = {places}: a step takes {rounded} samples")
    parts = get(config, f"{kind}.microbatches")
    if rounded % (places * parts):
        raise ParameterError(
            f"{kind}.microbatches",
            parts,
            f"must divide the {rounded // places} samples of a step on a device",
        )


def _tell_unread(kind: str, tokens: Mapping[str, str]) -> None:
    if tokens:
        listed = ", ".join(f"{token!r} ({reason})" for token, reason in tokens.items())
        warn(f"{kind}: tokens added to its tokenizer that no text is read as: {listed}")


def _tell_unknown(kind: str, rows: Sequence[Sequence[int]], unknown: int, other: str) -> None:
    pieces = sum(map(len, rows))
    share = pieces and sum(row.count(unknown) for row in rows) / pieces
    if share > MOST_UNKNOWN:
        warn(
            f"{kind}: {share:.0%} of the pieces of train are unknown to the vocabulary; take a checkpoint that knows "
            f"the language ({other})"
        )


def _tell_long_words(features: GeneratorFeatures, split: str, sentences: Sequence[Sentence]) -> None:
    """Training refuses what it cannot read; in dev and test it is counted as missed."""
    features.prepare(sentences)
    room = features.max_source - features.tasks[0].overhead()
    word = features.word_ids.word
    lengths = [(s.id, len(word(w))) for s in sentences for w in s.words]
    if long := [id for id, length in lengths if length > room]:
        warn(
            f"{split}: {len(long):,} words longer than an input (text.max_source={features.max_source}) are not read, "
            f"the first in sentence {long[0]}"
        )
