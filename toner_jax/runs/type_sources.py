"""Where T′ comes from, in training and in an evaluation: the type matching model, or something that tells its errors
from the generator's: the gold annotation, none at all, chance, or a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from toner_jax.common.files import file_digest
from toner_jax.errors import ParameterError, UserError
from toner_jax.parallel import processes
from toner_jax.parallel.exchange import of_first
from toner_jax.pipeline.features import present_types, types_indicator
from toner_jax.runs.types_files import Matched, evaluation_path, read_types, types_path
from toner_jax.schema import Schema, Sentence

MATCHER, GOLD, NONE, RANDOM = "matcher", "gold", "none", "random"
NAMES = (MATCHER, GOLD, NONE, RANDOM)
CROSS_FITTED = "cross_fitted"  # of training alone (toner_jax.runs.cross_fitting)
FROM_LABELS = (GOLD, RANDOM)  # those that read the annotation

Types = list[tuple[str, ...]]  # T′ of each sentence


@dataclass(frozen=True)
class TypeSource:
    """One source of T′.

    Attributes:
      name: as a report has it.
      find: (sentences, a function that asks the type matching model) → T′; None leaves its line out of the prompts.
      asks_matcher: whether that function is called.
    """

    name: str
    find: Callable[[Sequence[Sentence], Callable[[], Types]], Types | None]
    asks_matcher: bool = False


FROM_MATCHER = TypeSource(MATCHER, lambda _, ask: ask(), asks_matcher=True)
WITHOUT = TypeSource(NONE, lambda _sentences, _ask: None)
# The types that do occur, whom no model at work knows: an oracle.
FROM_GOLD = TypeSource(GOLD, lambda sentences, _: [s.types() for s in sentences])


def find_source(text: str, split: str, schema: Schema, seed: int) -> TypeSource:
    """The source that a user names.

    Args:
      text: one of `NAMES`, a file of T′ as a run writes it, or the work directory of a run that has it for the split.
      split: that is evaluated.
      seed: of what is drawn at random.

    Raises:
      UserError: there is no such source.
    """
    if text in NAMES:
        return {
            MATCHER: FROM_MATCHER, GOLD: FROM_GOLD, NONE: WITHOUT, RANDOM: at_random(schema, seed)
        }[text]  # fmt: skip
    path = find_file(text, split)
    return TypeSource(str(path), lambda sentences, _: _read(path, sentences, schema))


def from_source(
    text: str, split: str, sentences: Sequence[Sentence], own: Matched, schema: Schema, seed: int
) -> Matched | None:
    """T′ of a split from the source that a user names, beside the matcher's cosines; None leaves its line out of the
    prompts.

    Args:
      text, split, seed: as for `find_source`.
      own: what the matcher finds.

    Raises:
      UserError: as `find_source`.
    """
    types = find_source(text, split, schema, seed).find(sentences, lambda: list(own.types))
    return None if types is None else Matched(types, own.similarities)


def find_file(text: str, split: str, key: str = "types") -> Path:
    """The file of T′ of a split that a user names, itself or by its run.

    Raises:
      UserError: there is none; `key` is what was to name it.
    """
    path = Path(text).expanduser()
    if path.is_dir():
        kept = (evaluation_path(path, split), types_path(path, split))
        path = next((file for file in kept if file.is_file()), path)
    if not path.is_file():
        what = f"no T′ of {split} there" if path.is_dir() else "no such file"
        raise ParameterError(key, text, f"{what}; name {', '.join(NAMES)}, a file of T′, or a run")
    return path


def source_digests(config: ConfigDict, digests: Mapping[str, str]) -> dict[str, str]:
    """What T′ of each split depends on besides its words and the matcher, by "SPLIT for T′": the annotation, or a file.

    Args:
      digests: of each split with its annotation, by its name.

    Raises:
      UserError: there is no such source.
    """
    if not config.matcher.enabled:
        return {}
    found: dict[str, str] = {}
    for split, key in (("train", "training"), ("dev", "evaluation"), ("test", "evaluation")):
        source = config.types[key]
        if source in FROM_LABELS:
            found[f"{split} for T′"] = digests.get(split, digests[f"{split} text"])
        elif source not in (*NAMES, CROSS_FITTED):
            found[f"{split} for T′"] = processes.on_first(partial(_digest, source, split, f"types.{key}"))
    return found


def _digest(text: str, split: str, key: str) -> str:
    return file_digest(find_file(text, split, key))


def _read(path: Path, sentences: Sequence[Sentence], schema: Schema) -> Types:
    found: Types = json.loads(of_first(lambda: json.dumps(read_types(path, sentences)).encode()))
    found = [tuple(types) for types in found]
    if unknown := sorted({name for types in found for name in types} - set(schema.names)):
        raise UserError(
            f"{path}: {', '.join(unknown)}: no types of this run, which knows {', '.join(schema.names)}"
        )
    return found


def at_random(schema: Schema, seed: int) -> TypeSource:
    """T′ as good as the matcher's, by chance: each type that occurs is in it as often as the matcher finds one, and
    each other type as often as the matcher errs, whatever the sentence says."""

    def find(sentences: Sequence[Sentence], ask: Callable[[], Types]) -> Types:
        gold, found = present_types(sentences, schema), types_indicator(ask(), schema)
        kept = found[gold].mean() if gold.any() else 0.0
        wrong = found[~gold].mean() if (~gold).any() else 0.0
        drawn = np.random.default_rng(seed).random(gold.shape) < np.where(gold, kept, wrong)
        return [tuple(schema.names[i] for i in np.flatnonzero(row)) for row in drawn]

    return TypeSource(RANDOM, find, asks_matcher=True)
