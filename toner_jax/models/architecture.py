"""What the rest of the package knows of an architecture; each folder beside this file gives one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import jax

from toner_jax.models.decoder import MakeDecoder
from toner_jax.models.hf.layout import Layout
from toner_jax.models.tokenizer import TokenizerKind
from toner_jax.parallel.sharding import ShardingRules

Kind = Literal["generator", "matcher"]
Params = dict[str, Any]


class ModelConfig(Protocol):
    """The sizes of one variant: a frozen dataclass, whose names are Hugging Face's where theirs are clear."""

    model_type: ClassVar[str]

    @property
    def vocab_size(self) -> int: ...

    @property
    def dropout_rate(self) -> float: ...


def as_initialized(params: Params, config: Any, key: jax.Array) -> Params:
    """Random parameters as the module itself draws them."""
    return params


def no_decoder(module: Any, on_cpu: bool) -> MakeDecoder:
    """An encoder has none."""
    raise TypeError(f"{type(module).__name__} is no encoder-decoder: it does not decode")


@dataclass(frozen=True)
class Architecture:
    """One architecture.

    Attributes:
      kind: "generator", an encoder-decoder; or "matcher", an encoder (`toner_jax.models.encoder.Encoder`).
      config: the class of its `ModelConfig`, whose `model_type` is the name under which configs are written.
      scratch: (vocab_size=, …sizes of the run's config) → the `ModelConfig` of a model without a checkpoint.
      module: (config, dtype=, stack=) → the Flax module, whose layers are compiled as the `Stack` says; of a generator
        `num_types=` too, for ToNER's type head.
      inputs: how many int32 arrays [B, S] the module takes.
      initialize: (params, config, key) → params: changes random parameters, by what the config asks for.
      sharding: the rows that cover every parameter.
      hf: how its Hugging Face folders are read and written.
      tokenizer: the kind of its tokenizer.
      tokenizer_settings: config → the `tokenizer_config.json` that `AutoTokenizer` needs of a tokenizer of ours.
      make_decoder: of a generator, (module, whether on CPUs) → how it decodes with given parameters.
      training_flops: (config, tokens of a source[, of a target]) → FLOPs of a training step for such an example, of
        which MFU is made; None where they are not counted.
      activation_bytes: (config, rows, …) → bytes that a training step keeps, as `models.t5.memory` and
        `models.bert.memory` have it; None where they are not known, so that remat=auto computes nothing again.
    """

    kind: Kind
    config: type[Any]
    scratch: Callable[..., Any]
    module: Callable[..., Any]
    inputs: int
    sharding: ShardingRules
    hf: Layout
    tokenizer: TokenizerKind
    tokenizer_settings: Callable[[Any], dict[str, Any]]
    initialize: Callable[[Params, Any, jax.Array], Params] = as_initialized
    make_decoder: Callable[[Any, bool], MakeDecoder] = no_decoder
    training_flops: Callable[..., float] | None = None
    activation_bytes: Callable[..., float] | None = None
