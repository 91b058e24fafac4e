"""Values that a configuration may not have, refused before anything is read or trained."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from toner_jax.config import DEV, PLAIN, REFUSE
from toner_jax.config_keys import get
from toner_jax.errors import ParameterError, UserError

_STAGES = ("matcher", "generator", "evaluate")

_CHOICES = {
    "dtype": ("auto", "float32", "bfloat16"),
    "dropout_prng": ("threefry", "rbg"),
    "tokenizer.backend": ("auto", "tf_text", "hf"),
    "tokenizer.ids": ("atoms", "words"),
    "data.edges": ("auto", "atoms", "words"),
    "data.tag_prefix": ("auto", "first", "last", "none"),
    "generator.pool": ("text", "prompt"),
    "generator.prompts": ("paper", "authors"),
    "generator.loss_normalization": ("token", "sequence"),
    "generator.explanation_control": ("", "shuffled", "key_words"),
    "generator.unexplained": (REFUSE, PLAIN),
    "sharding": ("auto", "replicated", "zero1", "fsdp", "tensor"),
    "decode.weights": ("auto", "whole", "split"),
    "matcher.remat": ("auto", "none", "products", "full"),
    "generator.remat": ("auto", "none", "products", "full"),
}

# Keys, what their values must be, and how that is said.
_RANGES: tuple[tuple[tuple[str, ...], Callable[[Any], object], str], ...] = (
    (
        (
            "matcher.batch_size", "matcher.epochs", "matcher.tau", "matcher.learning_rate",
            "generator.batch_size", "generator.epochs", "generator.learning_rate",
            "eval.batch_size", "decode.batch_size", "checkpoint.every", "checkpoint.keep", "log_every", "max_skipped",
            "text.max_source", "text.max_target", "decode.beam_size",
            "tokenizer.generator_vocab_size", "tokenizer.matcher_vocab_size",
            "matcher.max_shapes", "generator.max_shapes", "matcher.microbatches", "generator.microbatches",
        ),
        lambda v: 0 < v < math.inf,
        "must be above 0",
    ),
    (
        (
            "matcher.weight_decay", "matcher.clip_norm", "generator.weight_decay", "generator.clip_norm",
            "generator.lambda_c", "eval.every", "eval.dev_max_sentences", "text.window_overlap", "decode.max_length",
            "decode.tokens_per_pass", "types.top_k", "data.carve_dev", "data.train_sentences", "profile",
        ),
        lambda v: 0 <= v < math.inf,
        "must be 0 or more",
    ),
    (
        ("matcher.warmup", "generator.warmup", "generator.type_recognition", "eval.start"),
        lambda v: 0 <= v <= 1,
        "must lie between 0 and 1",
    ),
    (("seed", "data.generated.seed", "data.carve_seed"), lambda v: 0 <= v < 2**32, "must lie between 0 and 2**32 - 1"),
    (("matcher.dropout", "generator.dropout", "generator.beta2"), lambda v: 0 <= v < 1, "must lie in [0, 1)"),
    (("data.language",), lambda v: re.fullmatch(r"[a-z]{2,3}(-\w+)*", v), "must be a code such as en or de"),
    (("decode.threshold",), lambda v: 0 <= v <= 1, "a score lies between 0 and 1"),
    (
        ("decode.calibration_temperature",),
        lambda v: v == DEV or (_is_number(v) and 0 < v < math.inf),
        f"must be a number above 0, or {DEV}: fitted on the dev split",
    ),
    (("types.folds",), lambda v: v >= 2, "must be 2 or more: each fold is matched by a model of the others"),
    (("types.training", "types.evaluation"), bool, "name a source of T′, such as matcher or gold"),
    (
        ("types.evaluation",),
        lambda v: v != "cross_fitted",
        "is of training alone; models of all of train match what is evaluated",
    ),
    (("decode.length_penalty",), math.isfinite, "must be a finite number"),
    (
        ("matcher.type_threshold",),
        lambda v: v == DEV or (_is_number(v) and -1 <= v <= 1),
        f"must be a cosine, between -1 and 1, or {DEV}: chosen on the dev split",
    ),
    (
        ("decode.type_threshold",),
        lambda v: v == "" or (_is_number(v) and -1 <= v <= 1),
        "must be a cosine, between -1 and 1, or empty: that of training",
    ),
)  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def validate(config: ConfigDict) -> None:
    """Refuses values that would only fail later.

    Raises:
      UserError: naming the key, its value and what it may be.
    """
    for key, allowed in _CHOICES.items():
        value = get(config, key)
        if value not in allowed:
            reason = "; fp16 overflows in T5's feed-forward layers" if value == "float16" else ""
            raise ParameterError(key, repr(value), f"choose one of {', '.join(allowed)}{reason}")
    _validate_stages(config)
    for keys, is_good, reason in _RANGES:
        for key in keys:
            if not is_good(get(config, key)):
                raise ParameterError(key, get(config, key), reason)
    if config.matcher.enabled and config.types.training == config.types.evaluation == "none":
        raise UserError("types.training, types.evaluation: both none; set matcher.enabled=False")
    _validate_decoding(config)


def _validate_stages(config: ConfigDict) -> None:
    for stage in config.stages:
        if stage not in _STAGES:
            raise UserError(f"stages: {stage!r} is none of {', '.join(_STAGES)}")
    if "evaluate" in config.stages and "generator" not in config.stages:
        raise UserError(
            "stages: evaluate needs generator; name both (a complete generator is not trained again)"
        )
    if "generator" in config.stages and config.matcher.enabled and "matcher" not in config.stages:
        raise UserError("stages: generator needs matcher; name both, or set matcher.enabled=False")


def _validate_decoding(config: ConfigDict) -> None:
    if config.decode.beam_size > 1 and config.decode.calibration_temperature != 1:
        raise UserError(
            "decode.calibration_temperature: beams are compared by unscaled scores; leave it at 1"
        )
    if config.decode.beam_size > 1 and config.decode.grammar:
        raise ParameterError(
            "decode.beam_size",
            config.decode.beam_size,
            "beams are for free decoding; set decode.grammar=False",
        )
    if config.decode.flat and not config.decode.grammar:
        raise ParameterError("decode.flat", True, "needs the grammar; set decode.grammar=True")
