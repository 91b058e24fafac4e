"""From a stage's view of the configuration to the option objects of the packages below."""

from __future__ import annotations

from jax.sharding import Mesh

from toner_jax.parallel.mesh import batch_divisor, own_rows, round_batch
from toner_jax.pipeline.samples import SamplingOptions
from toner_jax.pipeline.unpadding import groups_of
from toner_jax.runs.view import Settings
from toner_jax.tasks.prompts import PHRASES
from toner_jax.tasks.typed import Writing
from toner_jax.training.loop import FitOptions
from toner_jax.training.objectives import GeneratorObjective, MatcherObjective
from toner_jax.training.optimizer import OptimizerOptions
from toner_jax.training.state import Accumulation

# What `fit_options` reads, of both trainings; it changes nothing that they learn.
FIT_KEYS = (
    "checkpoint.every",  # a step does not depend on whether the one before was saved
    "checkpoint.keep",  # the best one, which is used, is kept besides
    "log_every",  # lines of metrics.jsonl are means over so many steps: other lines, the same training
    "max_skipped",  # whether a training ends early, as an error; one that does not is the same
    "profile",  # a trace changes nothing
)


# What takes less memory, for the messages where it runs out.
SMALLER_MODEL = "take a smaller model, or split it over more devices with mesh.fsdp"
SMALLER_MATCHER_STEPS = (
    "raise matcher.microbatches, lower matcher.batch_size, set matcher.remat=full, or raise mesh.fsdp"
)
SMALLER_GENERATOR_STEPS = (
    "raise generator.microbatches, lower generator.batch_size or text.max_source, set generator.remat=full, or raise "
    "mesh.fsdp"
)
SMALLER_DECODING = "lower decode.batch_size, text.max_source or decode.max_length"


def fit_options(config: Settings) -> FitOptions:
    return FitOptions(
        checkpoint_every=config.checkpoint.every,
        checkpoint_keep=config.checkpoint.keep,
        log_every=config.log_every,
        max_skipped=config.max_skipped,
        profile=config.profile,
    )


def writing(config: Settings) -> Writing:
    """How prompts and targets are written."""
    return Writing(PHRASES[config.generator.prompts], config.generator.unique_pairs)


def matcher_sampling(config: Settings, mesh: Mesh) -> SamplingOptions:
    return _sampling(config.seed, config.matcher, mesh)


def matcher_optimizer(config: Settings) -> OptimizerOptions:
    return _optimizer(config.matcher, beta2=0.999)


def matcher_objective(config: Settings) -> MatcherObjective:
    c = config.matcher
    return MatcherObjective(c.tau, c.null_cosine if c.null_logit else None)


def generator_sampling(config: Settings, mesh: Mesh) -> SamplingOptions:
    return _sampling(config.seed, config.generator, mesh)


def generator_optimizer(config: Settings) -> OptimizerOptions:
    c = config.generator
    return _optimizer(c, beta2=c.beta2, decay_all=c.decay_all)


def generator_objective(config: Settings) -> GeneratorObjective:
    return GeneratorObjective(config.generator.lambda_c, config.generator.loss_normalization)


def matcher_accumulation(config: Settings) -> Accumulation:
    return Accumulation(config.matcher.microbatches, matcher_objective(config).counts)


def generator_accumulation(config: Settings) -> Accumulation:
    return Accumulation(config.generator.microbatches, generator_objective(config).counts)


def _sampling(seed: int, section: Settings, mesh: Mesh) -> SamplingOptions:
    size = round_batch(section.batch_size, mesh)
    groups, own = batch_groups(section, size, mesh), own_rows(mesh, size)
    return SamplingOptions(seed, section.epochs, size, section.max_shapes, groups, own)


def batch_groups(section: Settings, batch_size: int, mesh: Mesh) -> int:
    """The groups of rows that a training's batch of so many is shared out to."""
    shares = batch_divisor(mesh)
    return groups_of(batch_size, shares, mesh.size // shares, section.microbatches)


def _optimizer(section: Settings, beta2: float, *, decay_all: bool = False) -> OptimizerOptions:
    return OptimizerOptions(
        learning_rate=section.learning_rate,
        warmup=section.warmup,
        weight_decay=section.weight_decay,
        beta2=beta2,
        clip_norm=section.clip_norm,
        decay_all=decay_all,
    )
