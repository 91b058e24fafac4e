"""Every variant with every seed, one run after the other; what is done is not done again.

Runs whose type matching model is the same share it: it is trained once a seed, and each of them begins with a copy.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from toner_jax.common.console import say
from toner_jax.common.files import remove
from toner_jax.errors import UserError
from toner_jax.experiments.variants import Variant
from toner_jax.runs import matcher, setup
from toner_jax.runs.chain import DATA, SETUP
from toner_jax.runs.marker import stage_result
from toner_jax.runs.run import execute
from toner_jax.runs.type_sources import MATCHER
from toner_jax.training.metrics import LOG

_SHARED = "matcher"  # the folder of the runs that train it alone
_LENT = (DATA, SETUP, setup.SCHEMA, setup.MODELS, setup.TOKENIZERS, matcher.FOLDER, LOG)
# What of T′ no training of the matcher depends on.
_AFTER = ("matcher.enabled", "matcher.type_threshold", "matcher.type_threshold_beta")


def workdir_of(out: Path, folder: str, seed: int) -> Path:
    """Where a run of the experiment lives."""
    return out / folder / f"seed{seed}"


def run_all(config: ConfigDict, variants: Sequence[Variant], seeds: Sequence[int], out: Path) -> None:
    """Runs what is not done, seed by seed, so that a first comparison is there early. Started again, it goes on.

    Raises:
      UserError: as a run, or a variant that trains another type matching model.
    """
    if own := [
        v.title for v in variants if any(k.startswith("matcher.") and k not in _AFTER for k in v.changes)
    ]:
        raise UserError(f"{', '.join(own)}: trains a type matching model of its own")
    for i, seed in enumerate(seeds):
        for j, variant in enumerate(variants):
            number = i * len(variants) + j + 1
            say(f"run {number} of {len(seeds) * len(variants)}: {variant.title}, seed {seed}")
            changed, workdir = variant.of(config, seed), workdir_of(out, variant.folder, seed)
            if changed.matcher.enabled:
                _lend(train_matcher(config, seed, out), workdir)
            execute(changed, workdir)


def matcher_of(out: Path, seed: int) -> Path:
    """Where the run lives that trains the type matching model of a seed."""
    return workdir_of(out, _SHARED, seed)


def train_matcher(config: ConfigDict, seed: int, out: Path) -> Path:
    """That run, done."""
    workdir = matcher_of(out, seed)
    alone = Variant(
        _SHARED,
        _SHARED,
        {
            "stages": (matcher.FOLDER,),
            "matcher.enabled": True,
            "types.training": MATCHER,
            "types.evaluation": MATCHER,
        },
    )
    if not _is_done(workdir, matcher.FOLDER):
        execute(alone.of(config, seed), workdir)
    return workdir


def _lend(shared: Path, workdir: Path) -> None:
    """Begins a run with the data, tokenizers and matcher of another; nothing where it has begun."""
    if workdir.exists():
        return
    half = workdir.with_name(f".{workdir.name}.half")
    remove(half)
    half.mkdir(parents=True)
    for name in _LENT:
        source = shared / name
        if source.is_dir():
            shutil.copytree(source, half / name)
        elif source.exists():
            shutil.copy2(source, half / name)
    half.rename(workdir)


def _is_done(workdir: Path, stage: str) -> bool:
    try:
        stage_result(workdir, stage)
    except UserError:
        return False
    return True
