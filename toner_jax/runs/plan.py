"""What a run would do, said without doing it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax.common.console import in_bytes
from toner_jax.inference.windows import readable_windows
from toner_jax.parallel.peak import measured_flops
from toner_jax.parallel.sharding import device_bytes, preset_on
from toner_jax.pipeline.samples import GeneratorSamples
from toner_jax.runs import options, setup
from toner_jax.runs.generator import evaluations, make_samples
from toner_jax.runs.placed import placed_state
from toner_jax.runs.recognizers import decode_options
from toner_jax.runs.run import Ready, ready
from toner_jax.schema import Sentence
from toner_jax.tasks.recognized import MOST_UNKNOWN, Coverage
from toner_jax.tasks.task import Task
from toner_jax.training import state as train_state
from toner_jax.training.optimizer import make_optimizer

# The compute of one training token through one parameter: forward 2 FLOPs, backward 4.
_FLOPS_PER_PARAMETER = 6
# Model FLOPs utilisation (MFU) of training, as a share of a large matrix product's speed; for a rough estimate alone.
_MFU = 0.4


def describe(config: ConfigDict, workdir: Path, restart: Collection[str] = ()) -> list[str]:
    """The plan, in lines: stages and what each would do, lengths, models, steps, memory; `restart` as for a run.

    Raises:
      UserError: what would stop the run at its start.
    """
    with ready(config, workdir, restart) as r:
        return [f"work directory: {workdir}", *_lines(r)]


def _lines(ready: Ready) -> list[str]:
    config, dataset, mesh = ready.config, ready.dataset, ready.mesh
    schema, train = dataset.schema, dataset.splits["train"]
    features = setup.generator_features(config, ready.prepared / setup.TOKENIZERS, schema, ready.explanations)
    # Without trained T′, the sentences' own types stand in: the lengths are the same to a few pieces.
    matched = [s.types() for s in train] if config.matcher.enabled else None
    samples = make_samples(config, features, train, matched, mesh)
    return [
        f"types: {', '.join(schema.names)}",
        f"mesh: {dict(mesh.shape)}, sharding {preset_on(mesh, config.sharding)}",
        *(f"stage {name}: {_action(ready, name)}" for name in ready.actions),
        *(_coverage(config, features.tasks[0], *split) for split in dataset.splits.items()),
        *_training(ready, samples),
    ]


def _action(ready: Ready, name: str) -> str:
    """What a stage would do, and what that would give up."""
    action, held = ready.actions[name], ready.stages[name].holds(ready.workdir)
    return f"{action}, giving up {held}" if action == "start" and held else action


def _training(ready: Ready, samples: GeneratorSamples) -> list[str]:
    """Lengths, sizes, steps and time of the generator's training."""
    config, mesh = ready.config, ready.mesh
    model = setup.build_generator(config, ready.prepared, ready.dataset.schema, mesh)
    state = placed_state(
        config, model, make_optimizer(options.generator_optimizer(config), samples.steps), mesh
    )
    count = train_state.count_parameters(state["params"])
    source, target = samples.lengths.T
    evaluated = len(evaluations(config, samples, len(ready.dataset.splits["dev"])))
    flops = _FLOPS_PER_PARAMETER * count * config.generator.batch_size * float(np.mean(source + target)) / 2
    flops *= samples.steps
    return [
        f"source pieces: median {np.median(source):.0f}, 99 % {np.percentile(source, 99):.0f}, longest {source.max()}",
        f"target pieces: median {np.median(target):.0f}, 99 % {np.percentile(target, 99):.0f}, longest {target.max()}",
        f"training shapes: {' '.join(f'{s}×{t}' for s, t in samples.shapes)}",
        f"generator: {count:,} parameters; with AdamW {in_bytes(device_bytes(state))} a device",
        *_matcher(ready),
        f"generator: {samples.steps:,} steps of {config.generator.batch_size} samples, {samples.steps_per_epoch:,} an "
        f"epoch, {evaluated} dev evaluations",
        f"generator: about {flops:.2g} FLOPs, so very roughly {_duration(flops, mesh, model.dtype)} on the "
        f"{mesh.size} device(s) here",
    ]


def _matcher(ready: Ready) -> list[str]:
    """The size of the type matching model, where there is one."""
    config, mesh = ready.config, ready.mesh
    if not config.matcher.enabled:
        return []
    model = setup.build_matcher(config, ready.prepared, mesh)
    state = placed_state(config, model, make_optimizer(options.matcher_optimizer(config), 1), mesh)
    count = train_state.count_parameters(state["params"])
    return [f"matcher: {count:,} parameters; with AdamW {in_bytes(device_bytes(state))} a device"]


def _coverage(config: ConfigDict, task: Task, split: str, sentences: Sequence[Sentence]) -> str:
    """How much of a split is read, as far as that is known before anything is trained."""
    task.word_ids.prepare(w for s in sentences for w in s.words)
    decoding = decode_options(config)
    read = [readable_windows(i, s, task, decoding)[1] for i, s in enumerate(sentences)]
    total = sum(read, Coverage())
    in_windows, mostly_unknown = (
        sum(c.windows > 1 for c in read),
        sum(c.mostly_unknown for c in read),
    )
    return (
        f"{split}: {in_windows:,} sentences read in windows; {total.words_too_long:,} words longer than an input; "
        f"{total.unknown_share:.2%} of the pieces unknown to the vocabulary, more than {MOST_UNKNOWN:.0%} in "
        f"{mostly_unknown:,} sentences"
    )


def _duration(flops: float, mesh: Mesh, dtype: Any) -> str:
    """Time for so many FLOPs on all devices, from the speed of one large matrix product."""
    speed = measured_flops(mesh.devices.flat[0], dtype) * mesh.size * _MFU
    minutes = flops / speed / 60
    if minutes > 90:
        return f"{minutes / 60:.1f} hours"
    return f"{round(minutes)} minutes" if minutes >= 1.5 else "a minute"
