"""T5 as `toner_jax.models.decoder.Seq2SeqDecoder`: writing token by token, with a KV cache.

Shapes as there: B rows, S source tokens, Q tokens fed by a step, L slots of the KV cache, U candidate tokens of a row,
V the vocabulary, H heads, Dh (in names `d`) the width of a head, D that of the model; K keys, which are S or Q.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from toner_jax.models.decoder import DecoderCache, EncodedSource, KeysValues
from toner_jax.models.layers import MASKED, mask_to_bias, on_rows
from toner_jax.models.t5.model import T5, Attention
from toner_jax.parallel.activations import TENSOR, gathered, mesh_of, on_mesh
from toner_jax.parallel.mesh import ROWS
from toner_jax.parallel.sharding import path_string


@partial(jax.tree_util.register_dataclass, data_fields=["params"], meta_fields=["module", "on_cpu"])
@dataclass(frozen=True, eq=False)
class T5Decoder:
    """A T5 module with its parameters; `Seq2SeqDecoder` says what each method does.

    Attributes:
      on_cpu: whether it computes on CPUs, on which keys are kept transposed, see `KeysValues`.
    """

    module: T5
    params: Any
    on_cpu: bool = True

    @property
    def width(self) -> int:
        return self.module.config.d_model

    def prepared(self) -> T5Decoder:
        tied, dtype = self.module.config.tie_embeddings, self.module.dtype

        def cast(path: Any, leaf: jax.Array) -> jax.Array:
            name = path_string(path)
            # A tied table is the output layer's too, which multiplies in fp32.
            once = name.endswith("/kernel") or (name.endswith("shared/embedding") and not tied)
            return leaf.astype(dtype) if once else leaf

        return replace(self, params=jax.tree_util.tree_map_with_path(cast, self.params))

    def encode(self, ids: jax.Array, candidates: jax.Array | None = None) -> EncodedSource:
        source: EncodedSource = self._apply(_encode, ids, candidates, self.on_cpu)
        return source

    def init_cache(self, rows: int, slots: int) -> DecoderCache:
        cache: DecoderCache = self._apply(_init_cache, rows, slots, self.on_cpu)
        return cache

    def step(
        self, tokens: jax.Array, source: EncodedSource, cache: DecoderCache
    ) -> tuple[jax.Array, DecoderCache]:
        stepped: tuple[jax.Array, DecoderCache] = self._apply(_step, tokens, source, cache, self.on_cpu)
        return stepped

    def rewind(self, cache: DecoderCache, taken: int, accepted: jax.Array) -> DecoderCache:
        slots = cache.positions.shape[1]
        # 0 … taken − 1 in the slots that the last step wrote, in its order; more in all others.
        age_L = (jnp.arange(slots) - cache.slot + taken) % slots
        dropped_BL = (age_L < taken) & (age_L >= accepted[:, None])
        return cache._replace(
            length=cache.length - taken + accepted,
            positions=jnp.where(dropped_BL, -1, cache.positions),
        )

    def reset(self, cache: DecoderCache, rows: jax.Array) -> DecoderCache:
        return cache._replace(
            length=cache.length.at[rows].set(0, mode="drop"),
            positions=cache.positions.at[rows].set(-1, mode="drop"),
        )

    def reorder(self, cache: DecoderCache, rows: jax.Array) -> DecoderCache:
        def take(leaf: jax.Array) -> jax.Array:
            return jnp.take(leaf, rows, axis=0)

        return cache._replace(
            length=take(cache.length),
            positions=take(cache.positions),
            layers=jax.tree.map(take, cache.layers),
        )

    def _apply(self, function: Callable[..., Any], *args: Any) -> Any:
        """What a function of the module with its parameters gives."""
        return self.module.apply({"params": self.params}, *args, method=function)


def _encode(t5: T5, ids_BS: jax.Array, candidates_BU: jax.Array | None, on_cpu: bool) -> EncodedSource:
    mask_BS = (ids_BS != 0).astype(jnp.float32)
    encoded_BSD = t5.encode(ids_BS, mask_BS)
    return EncodedSource(
        bias=mask_to_bias(mask_BS)[:, None, None, :],
        cross=tuple(_keys_values(layer.cross_attention, encoded_BSD, on_cpu) for layer in t5.decoder.layers),
        candidates=None if candidates_BU is None else _output_weights(t5, candidates_BU),
    )


def _keys_values(attention: Attention, x_BKD: jax.Array, on_cpu: bool) -> KeysValues:
    keys_BHKd, values_BHKd = attention.keys_values(x_BKD)
    return KeysValues(keys_BHKd.swapaxes(-1, -2) if on_cpu else keys_BHKd, values_BHKd)


def _output_weights(t5: T5, ids_BU: jax.Array) -> jax.Array:
    """The output layer's weights of some tokens: [B, D, U]."""
    if t5.config.tie_embeddings:
        return jnp.take(t5.shared.embedding, ids_BU, axis=0).swapaxes(1, 2)
    kernel_DV = gathered(t5.lm_head.variables["params"]["kernel"], None, TENSOR)
    return on_rows(jnp.take(kernel_DV, ids_BU, axis=1).swapaxes(0, 1).astype(t5.dtype))


def _init_cache(t5: T5, rows: int, slots: int, on_cpu: bool) -> DecoderCache:
    c = t5.config
    keys_BHdL, values_BHLd = (rows, c.num_heads, c.d_kv, slots), (rows, c.num_heads, slots, c.d_kv)
    keys = keys_BHdL if on_cpu else values_BHLd
    # No two tokens in the cache are farther apart than it has slots. Looking up a distance is far faster than
    # computing its bucket.
    distance_bias = t5.decoder.relative_attention_bias(slots, 1)[0, :, :, 0].T
    mesh = mesh_of(distance_bias)

    def zeros(shape: tuple[int, ...]) -> jax.Array:
        return on_mesh(jnp.zeros(shape, t5.dtype), mesh, ROWS, TENSOR)

    return DecoderCache(
        slot=jnp.zeros((), jnp.int32),
        length=on_mesh(jnp.zeros((rows,), jnp.int32), mesh, ROWS),
        positions=on_mesh(jnp.full((rows, slots), -1, jnp.int32), mesh, ROWS),
        distance_bias=distance_bias,
        layers=tuple(KeysValues(zeros(keys), zeros(values_BHLd)) for _ in range(c.num_decoder_layers)),
    )


def _step(
    t5: T5, tokens_BQ: jax.Array, source: EncodedSource, cache: DecoderCache, on_cpu: bool
) -> tuple[jax.Array, DecoderCache]:
    queries, slots = tokens_BQ.shape[1], cache.positions.shape[1]
    position_BQ = cache.length[:, None] + jnp.arange(queries)
    positions_BL = jax.lax.dynamic_update_slice_in_dim(cache.positions, position_BQ, cache.slot, axis=1)
    bias_BHQL = _self_attention_bias(cache.distance_bias, position_BQ, positions_BL)
    if not on_cpu:  # once, or else XLA makes it anew in a kernel of each layer; on CPU that is the faster way
        bias_BHQL = jax.lax.optimization_barrier(bias_BHQL)
    x_BQD = t5.shared(tokens_BQ)
    layers = []
    for layer, cached, cross in zip(t5.decoder.layers, cache.layers, source.cross, strict=True):
        h_BQD = layer.self_attention_norm(x_BQD)
        new = _keys_values(layer.self_attention, h_BQD, on_cpu)
        cached = _write(cached, new, cache.slot, on_cpu)
        x_BQD = x_BQD + layer.self_attention(h_BQD, cached, bias_BHQL, True, on_cpu)
        x_BQD = layer.after_self_attention(x_BQD, cross, source.bias, True, on_cpu)
        layers.append(cached)
    cache = cache._replace(
        slot=(cache.slot + queries) % slots,
        length=cache.length + queries,
        positions=positions_BL,
        layers=tuple(layers),
    )
    return _logits(t5, t5.decoder.final_norm(x_BQD), source.candidates), cache


def _self_attention_bias(
    distance_bias_LH: jax.Array, position_BQ: jax.Array, positions_BL: jax.Array
) -> jax.Array:
    """fp32 [B, H, Q, L]: by distance, and masked where a slot holds nothing or a later token."""
    distance_BQL = position_BQ[:, :, None] - positions_BL[:, None, :]
    seen_BQL = (distance_BQL >= 0) & (positions_BL >= 0)[:, None, :]
    near_BQLH = jnp.take(distance_bias_LH, jnp.where(seen_BQL, distance_BQL, 0), axis=0, mode="clip")
    return jnp.where(seen_BQL[..., None], near_BQLH, MASKED).transpose(0, 3, 1, 2)


def _write(cached: KeysValues, new: KeysValues, slot: jax.Array, on_cpu: bool) -> KeysValues:
    """The cache of one layer with the keys and values of Q tokens in the slots from `slot` on."""
    update = jax.lax.dynamic_update_slice_in_dim
    return KeysValues(
        update(cached.keys, new.keys, slot, axis=3 if on_cpu else 2),
        update(cached.values, new.values, slot, axis=2),
    )


def _logits(t5: T5, x_BQD: jax.Array, weights_BDU: jax.Array | None) -> jax.Array:
    """fp32 [B, Q, V], or [B, Q, U] of the candidates."""
    if weights_BDU is None:
        return t5.logits(x_BQD)
    if t5.config.tie_embeddings:
        x_BQD = x_BQD.astype(jnp.float32) * t5.config.d_model**-0.5
    return jnp.einsum("bqd,bdu->bqu", x_BQD, weights_BDU, preferred_element_type=jnp.float32)
