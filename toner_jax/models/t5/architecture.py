"""T5 as the registry knows it."""

from __future__ import annotations

from functools import partial

import jax
from jax.sharding import PartitionSpec as P

from toner_jax.errors import ParameterError
from toner_jax.models.architecture import Architecture, Params, as_initialized
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.copy_init import copying
from toner_jax.models.t5.decoder import T5Decoder
from toner_jax.models.t5.flops import training_flops
from toner_jax.models.t5.hugging_face import LAYOUT
from toner_jax.models.t5.memory import activation_bytes
from toner_jax.models.tokenizer import SENTENCEPIECE
from toner_jax.models.toner import TYPE_HEAD_SHARDING, ToNER
from toner_jax.parallel.sharding import ShardingRules

SHARDING = ShardingRules(
    (
        (r"attention/(query|key|value)/kernel$", P("fsdp", "tensor")),
        (r"attention/out/kernel$", P("tensor", "fsdp")),
        (r"feed_forward/wi(_0|_1)?/kernel$", P("fsdp", "tensor")),
        (r"feed_forward/wo/kernel$", P("tensor", "fsdp")),
        (r"shared/embedding$", P("tensor", "fsdp")),
        (r"lm_head/kernel$", P("fsdp", "tensor")),
        (r"relative_attention_bias/embedding$", P()),
        (r"scale$", P()),
    )
)

INITIALIZATIONS = {"t5": as_initialized, "copy": copying}


def initialize(params: Params, config: T5Config, key: jax.Array) -> Params:
    """Random parameters as `config.init` wants them.

    Raises:
      UserError: there is no such initialisation, or the sizes leave no room for it.
    """
    if config.init not in INITIALIZATIONS:
        raise ParameterError(
            "generator.model.init", repr(config.init), f"choose one of {', '.join(INITIALIZATIONS)}"
        )
    return INITIALIZATIONS[config.init](params, config, key)


ARCHITECTURE = Architecture(
    kind="generator",
    config=T5Config,
    scratch=T5Config,
    module=ToNER,
    inputs=4,
    initialize=initialize,
    sharding=SHARDING + TYPE_HEAD_SHARDING,
    hf=LAYOUT,
    tokenizer=SENTENCEPIECE,
    # By default T5's tokenizer would add a hundred ids for which a small model has no embeddings.
    tokenizer_settings=lambda config: {"tokenizer_class": "T5Tokenizer", "extra_ids": 0},
    make_decoder=lambda module, on_cpu: partial(T5Decoder, module, on_cpu=on_cpu),
    training_flops=training_flops,
    activation_bytes=activation_bytes,
)
