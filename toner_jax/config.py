"""The one base configuration: every key, its default and its meaning.

Files under `configs/` call `base()` and state only their differences. The result is locked, so an
unknown key is an error wherever it is set, and nothing in the package asks for a key with a default.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from toner_jax.common.cli import parse_value
from toner_jax.errors import UserError


def base() -> ConfigDict:
    """The authors' settings (the paper's Table 2 and §4.3) for Flan-T5-large and GTE-large."""
    c = ConfigDict()
    c.seed = 0  # of weights, dropout, and the order of samples
    c.stages = ("matcher", "generator", "evaluate")  # what a run does; what is complete is skipped
    c.dtype = "auto"  # compute dtype: float32, bfloat16, or auto: bfloat16 on accelerators

    c.data = ConfigDict()
    c.data.name = ""
    # A built-in schema or a JSON/YAML file; "" for the one called data.name, or else from the training labels.
    c.data.schema = ""
    # columns, csv, json (benchmarks' shapes), jsonl, brat, docbin, label_studio, doccano, ontonotes, ace, hub,
    # generated; or auto: each split by what lies at its place.
    c.data.format = "columns"
    c.data.dir = ""  # the folder of the splits' files; hub: an id, or a folder of save_to_disk
    c.data.train = ""  # names within data.dir; of several, the first that exists; "" for usual names
    c.data.dev = ""
    c.data.test = ""
    c.data.token_column = 0
    c.data.tag_columns = (-1,)  # one column per nesting level; () for all but the first
    c.data.columns = ()  # csv, hub: the names of the columns of words, of tags (csv: and of sentences)
    c.data.pretokenized = False  # texts of jsonl, brat, …: a sentence a line, white space around words
    c.data.discontinuous = "refuse"  # brat: what becomes of entities in pieces: refuse, join, or skip
    c.data.subset = ""  # hub: the configuration, of a set with several
    c.data.revision = ""  # hub: a branch, tag or commit
    c.data.genres = ()  # OntoNotes: the genres to keep (bc, bn, mz, nw, pt, tc, wb); () for all
    c.data.exclude_genres = ("pt",)  # OntoNotes: and those to leave out; nobody annotated pt with entities
    c.data.carve_dev = 0  # > 0: where train's documents have ids, so many of them are dev, not data.dev
    c.data.carve_seed = 0  # which of them, by their ids; `seed` does not matter
    c.data.cache = (
        True  # keep what was read in ~/.cache/toner_jax ($XDG_CACHE_HOME); changed files are read anew
    )
    c.data.source = ""  # which data to bring, and from where: shown when they are missing
    c.data.generated = ConfigDict({"seed": 0, "train": 24_000, "dev": 500, "test": 1_000})

    c.tokenizer = ConfigDict()
    c.tokenizer.backend = "tf_text"  # tf_text, or hf for a machine without TensorFlow
    c.tokenizer.generator = ""  # folder or hub id; "" for the checkpoint's own
    c.tokenizer.matcher = ""
    c.tokenizer.generator_vocab_size = 2_000  # of tokenizers trained for runs without a checkpoint
    c.tokenizer.matcher_vocab_size = 2_000

    c.text = ConfigDict()
    c.text.max_source = 512  # pieces, end of sequence included; longer inputs are split, never cut
    c.text.max_target = 512
    c.text.window_overlap = 16  # words that neighbouring windows of a long input share

    c.matcher = ConfigDict()
    c.matcher.enabled = True  # False leaves the T′ line out of every prompt
    c.matcher.checkpoint = "thenlper/gte-large"  # folder or hub id; "" starts from random weights
    c.matcher.model = ConfigDict()  # the architecture of a run without a checkpoint
    c.matcher.model.hidden_size = 128
    c.matcher.model.num_hidden_layers = 2
    c.matcher.model.num_attention_heads = 4
    c.matcher.model.intermediate_size = 256
    c.matcher.dropout = 0.1
    c.matcher.tau = 0.05  # τ of Eq. 4
    c.matcher.null_logit = False  # add e^{δ/τ} to Eq. 4's denominator: sentences without types train too
    c.matcher.null_cosine = 0.5  # that δ
    c.matcher.threshold = 0.6  # δ: the least cosine of T′; 0 chooses it on dev by type F-β
    c.matcher.threshold_beta = 1.0
    c.matcher.batch_size = 32
    c.matcher.epochs = 1.0
    c.matcher.learning_rate = 8e-6
    c.matcher.weight_decay = 1e-3
    c.matcher.warmup = 0.1
    c.matcher.clip_norm = 1.0
    c.matcher.remat = False
    c.matcher.max_shapes = 8  # padded lengths that training compiles for

    c.generator = ConfigDict()
    c.generator.checkpoint = "google/flan-t5-large"  # folder or hub id; "" starts from random weights
    c.generator.model = ConfigDict()  # the architecture of a run without a checkpoint
    c.generator.model.d_model = 128
    c.generator.model.d_kv = 32
    c.generator.model.d_ff = 256
    c.generator.model.num_layers = 2
    c.generator.model.num_decoder_layers = 2
    c.generator.model.num_heads = 4
    c.generator.model.init = "copy"  # copy: starts able to copy (models/copy_init.py); or t5
    c.generator.dropout = 0.1
    c.generator.lambda_c = 0.1  # λ of Eq. 6
    c.generator.pool = "text"  # h(x) is the mean over the text's tokens, or the whole "prompt"'s
    c.generator.type_recognition = 0.5  # share of sentences that also train the task of §3.4, each epoch
    c.generator.loss_normalization = "token"  # Eq. 2 as mean over target tokens, or "sequence": the sum
    c.generator.batch_size = 32  # samples a step, over all devices
    c.generator.epochs = 30.0  # or a part of one
    c.generator.learning_rate = 3e-5  # its peak: linear warm-up, then linear decay
    c.generator.weight_decay = 0.01
    c.generator.beta2 = 0.999
    c.generator.warmup = 0.1
    c.generator.clip_norm = 1.0
    c.generator.remat = False
    c.generator.max_shapes = 8  # (source, target) shapes that training compiles for

    c.eval = ConfigDict()
    c.eval.every = 0  # steps between dev evaluations; 0 for twice an epoch, bounded in cost
    c.eval.start = 0.1  # share of training before the first
    c.eval.dev_max_sentences = 1_000  # 0 for all; final reports always use all
    c.eval.batch_size = 64

    c.decode = ConfigDict()
    c.decode.max_length = 0  # pieces; 0 for text.max_target
    c.decode.grammar = (
        True  # only well-formed outputs with spans of the text; False decodes as the paper does
    )
    c.decode.flat = False  # under the grammar: spans do not overlap, whatever the training data have
    c.decode.block = 0  # tokens that a pass verifies under the grammar; 0 for 4 on CPU, 8 elsewhere
    c.decode.beam_size = 1  # hypotheses of free decoding; 1 is greedy
    c.decode.length_penalty = 1.0  # beams are compared by log-probability / tokens ** this
    c.decode.threshold = 0.0  # entities with a lower score are left out
    c.decode.temperature = 1.0  # of the scores, not of what is written; 0 fits it on dev when evaluating

    c.checkpoint = ConfigDict()
    c.checkpoint.every = 500  # steps between checkpoints within a stage
    c.checkpoint.keep = 2  # the latest ones; the best is kept besides

    c.mesh = ConfigDict({"data": -1, "fsdp": 1, "tensor": 1})  # devices along each axis; −1: all that remain
    c.sharding = "fsdp"  # fsdp, or zero1: replicated parameters, sharded optimizer moments

    c.log_every = 50
    c.max_skipped = 10  # so many steps with a non-finite loss or gradient end a training
    return c.lock()


def save(config: ConfigDict, path: Path) -> None:
    """Writes the whole configuration as JSON."""
    path.write_text(json.dumps(config.to_dict(), indent=2, default=list) + "\n", encoding="utf-8")


def load(path: Path) -> ConfigDict:
    """Reads what `save` wrote. A key that this version does not know is an error.

    Raises:
      UserError: the file is missing, damaged, or from another version.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot read the configuration ({error})") from error
    return from_json(values, str(path))


def from_json(values: Any, source: str) -> ConfigDict:
    """The configuration of a JSON value; `source` says where it comes from, for the errors."""
    config = base()
    try:
        config.update(_with_tuples(values))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = str(error).strip("'\"").split("\n")[0].split(". Other fields present")[0]
        raise UserError(f"{source}: not a configuration of this version ({reason})") from error
    return config


def _with_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _with_tuples(v) for k, v in value.items()}
    return tuple(value) if isinstance(value, list) else value


# Each chooses the models, so that only one of them can hold.
VARIANTS = ("small", "base", "large", "xl", "xxl", "scratch")


def variants(arg: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """The comma-separated variants after a config file's colon, in the order given, each once.

    Raises:
      UserError: one that the file does not have, or two that contradict each other.
    """
    chosen = tuple(dict.fromkeys(v for v in (arg or "").split(",") if v))
    for variant in chosen:
        if variant not in known:
            choice = f"choose among {', '.join(known)}" if known else "this configuration has none"
            raise UserError(f"config variant {variant!r}: {choice}")
    models = [variant for variant in chosen if variant in VARIANTS]
    if len(models) > 1:
        raise UserError(f"config variants {models[0]!r} and {models[1]!r}: each chooses the models; keep one")
    return chosen


def apply_variants(config: ConfigDict, chosen: Sequence[str]) -> None:
    """What the variants that every data set has change."""
    for variant in chosen:
        if variant == "scratch":
            set_scratch(config)
        else:
            set_flan(config, variant)


def set_flan(config: ConfigDict, size: str) -> None:
    """One of Flan-T5's sizes; xxl trains with batches of 8 (Table 2) and recomputed activations."""
    config.generator.checkpoint = f"google/flan-t5-{size}"
    if size == "xxl":
        config.generator.batch_size = 8
        config.generator.remat = True


def set_scratch(config: ConfigDict) -> None:
    """Small models from random weights, with tokenizers trained on the training split: for machines
    without checkpoints, and sized for two cores."""
    c = config
    c.matcher.checkpoint = c.generator.checkpoint = ""
    c.matcher.threshold = 0.0
    c.matcher.null_logit = True
    c.matcher.learning_rate = 1e-3
    c.matcher.epochs = 10.0
    c.matcher.max_shapes = c.generator.max_shapes = 4
    c.generator.learning_rate = 1e-3
    c.generator.beta2 = 0.99
    c.generator.batch_size = 16
    c.generator.epochs = 12.0
    c.eval.dev_max_sentences = 500


_STAGES = ("matcher", "generator", "evaluate")

_CHOICES = {
    "dtype": ("auto", "float32", "bfloat16"),
    "tokenizer.backend": ("tf_text", "hf"),
    "generator.pool": ("text", "prompt"),
    "generator.loss_normalization": ("token", "sequence"),
    "sharding": ("fsdp", "zero1"),
}

# Keys, what their values must be, and how that is said.
_RANGES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (
        (
            "matcher.batch_size", "matcher.epochs", "matcher.tau", "matcher.learning_rate",
            "generator.batch_size", "generator.epochs", "generator.learning_rate",
            "eval.batch_size", "checkpoint.every", "checkpoint.keep", "log_every", "max_skipped",
            "text.max_source", "text.max_target", "decode.beam_size",
            "tokenizer.generator_vocab_size", "tokenizer.matcher_vocab_size",
        ),
        lambda v: v > 0,
        "must be above 0",
    ),
    (
        ("matcher.warmup", "generator.warmup", "generator.type_recognition", "eval.start"),
        lambda v: 0 <= v <= 1,
        "must lie between 0 and 1",
    ),
    (("seed", "data.generated.seed", "data.carve_seed"), lambda v: 0 <= v < 2**32, "must lie between 0 and 2**32 - 1"),
    (("matcher.dropout", "generator.dropout"), lambda v: 0 <= v < 1, "must lie in [0, 1)"),
    (("decode.threshold",), lambda v: 0 <= v <= 1, "a score lies between 0 and 1"),
    (("decode.temperature",), lambda v: 0 <= v < math.inf, "must be above 0, or 0 to fit it on dev"),
    (("decode.length_penalty",), math.isfinite, "must be a finite number"),
    (("matcher.threshold",), lambda v: -1 <= v <= 1, "a cosine lies between -1 and 1"),
)  # fmt: skip


def validate(config: ConfigDict) -> None:
    """Refuses values that would only fail later.

    Raises:
      UserError: naming the key, its value and what it may be.
    """
    for key, allowed in _CHOICES.items():
        value = get(config, key)
        if value not in allowed:
            reason = "; fp16 overflows in T5's feed-forward layers" if value == "float16" else ""
            raise UserError(f"{key}={value!r}: choose one of {', '.join(allowed)}{reason}")
    _validate_stages(config)
    for keys, is_good, reason in _RANGES:
        for key in keys:
            if not is_good(get(config, key)):
                raise UserError(f"{key}={get(config, key)}: {reason}")
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
    if config.decode.beam_size > 1 and config.decode.temperature != 1:
        raise UserError("decode.temperature: beams are compared by unscaled scores; leave it at 1")
    if config.decode.beam_size > 1 and config.decode.grammar:
        raise UserError(
            f"decode.beam_size={config.decode.beam_size}: beams are for free decoding; "
            "add --config.decode.grammar=False"
        )
    if config.decode.flat and not config.decode.grammar:
        raise UserError("decode.flat=True: needs the grammar; add --config.decode.grammar=True")


def get(config: ConfigDict, key: str) -> Any:
    """The value of a dotted key.

    Raises:
      UserError: there is no such key.
    """
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, ConfigDict) or part not in value:
            raise UserError(f"{key}: no such configuration key")
        value = value[part]
    return value


def override(config: ConfigDict, key: str, text: str) -> None:
    """Sets a key that decoding or evaluation reads from its command-line spelling.

    Raises:
      UserError: another or unknown key, or a value of another type.
    """
    old = get(config, key)
    if not key.startswith(("decode.", "eval.", "text.", "mesh.", "tokenizer.backend", "dtype")):
        raise UserError(f"{key}: fixed by training; decode.*, eval.*, text.* and dtype can be changed")
    value = parse_value(key, text, old)
    section, _, name = key.rpartition(".")
    (get(config, section) if section else config)[name] = value
