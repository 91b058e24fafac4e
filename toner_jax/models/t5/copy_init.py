"""Initial weights from which a small T5 learns to copy from its source in hundreds of steps.

A T5 trained from random weights on little data learns the output format at once and copying very late:
it has no positions, so to continue a name it must find the place in the source whose *preceding* piece
is the one it has just written, a circuit of two attention layers (an induction head, Olsson et al. 2022)
that gradient descent assembles only after thousands of steps. Here its parts are in place from the start,
in the spirit of mimetic initialization (Trockman and Kolter 2023); the architecture is untouched and
every weight is trained as usual.

  1. Encoder layer 0: some heads attend to the preceding piece (through the bias of offset −1) and write
     a projection of it, V·O, into the state.
  2. Last decoder layer, cross-attention: queries project the piece just written by the same V, keys read
     what O wrote, so a query meets the source place that its piece precedes: a fresh model gives it a
     third of its attention among 24 pieces, nine times what standard weights give.
  3. There V is orthogonal and O its transpose, and the output layer is the transposed embedding, so that
     what is attended to is spelled in the output's own terms. At first the piece just written, which
     the residual stream carries, still outweighs it; training has only that to undo.

On the generated data of the quickstart, 1,500 steps of 16 sentences end at a dev F1 of 0.88; with T5's
own initialisation, at 0.13.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from toner_jax.errors import UserError
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.model import relative_buckets

Params = dict[str, Any]

# Head h of a stack prefers the offset OFFSETS[h % 4] (key minus query); None has no preference.
_ENCODER_OFFSETS = (-1, 1, -1, None)
_DECODER_OFFSETS = (-1, -2, None, None)
_ENCODER_GAIN = 8.0  # among a few dozen pieces, over nine tenths of the attention
_DECODER_GAIN = 4.0
_QUERY_GAIN = 3.0


def copying(params: Params, config: T5Config, key: jax.Array) -> Params:
    """The parameters of a freshly initialised T5 with the copying circuit written into them.

    Raises:
      UserError: the architecture has no room for it.
    """
    heads, width, d = config.num_heads, config.d_kv, config.d_model
    if heads * width != d or heads < 4 or config.tie_embeddings:
        raise UserError(
            "generator.model.init='copy' needs at least 4 heads, num_heads·d_kv = d_model and an untied output "
            f"layer, not {heads}·{width} and {d}; pass init='t5'"
        )
    params = jax.tree.map(lambda x: x, params)  # fresh dicts, so that the caller's stay as they are
    encoder, decoder = params["encoder"], params["decoder"]
    _prefer(encoder, config, _ENCODER_OFFSETS, _ENCODER_GAIN, bidirectional=True)
    _prefer(decoder, config, _DECODER_OFFSETS, _DECODER_GAIN, bidirectional=False)

    previous = encoder["layers_0"]["self_attention"]
    cross = decoder[f"layers_{config.num_decoder_layers - 1}"]["cross_attention"]
    queries, keys = [], []
    for head in range(heads):
        # The two encoder heads of offset −1 serve half of the cross-attention heads each.
        writer = 0 if head < heads // 2 else 2
        rows = slice(writer * width, (writer + 1) * width)
        queries.append(_QUERY_GAIN * _scaled(previous["value"]["kernel"][:, rows], (d * width) ** -0.5))
        keys.append(_scaled(previous["out"]["kernel"][rows].T, d**-0.5))
    cross["query"]["kernel"] = jnp.concatenate(queries, axis=1)
    cross["key"]["kernel"] = jnp.concatenate(keys, axis=1)
    rotation = jax.random.orthogonal(key, d)
    cross["value"]["kernel"], cross["out"]["kernel"] = rotation, rotation.T
    params["lm_head"]["kernel"] = params["shared"]["embedding"].T * d**-0.5
    return params


def _prefer(
    stack: Params, config: T5Config, offsets: Sequence[int | None], gain: float, bidirectional: bool
) -> None:
    table = stack["relative_attention_bias"]["embedding"]
    buckets = relative_buckets(
        4,
        4,
        bidirectional=bidirectional,
        num_buckets=config.relative_attention_num_buckets,
        max_distance=config.relative_attention_max_distance,
    )
    for head in range(config.num_heads):
        offset = offsets[head % len(offsets)]
        if offset is not None:
            table = table.at[buckets[2, 2 + offset], head].add(gain)
    stack["relative_attention_bias"] = {"embedding": table}


def _scaled(kernel: jax.Array, std: float) -> jax.Array:
    return kernel * (std / jnp.std(kernel))
