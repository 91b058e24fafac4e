"""T5 and Flan-T5 (Raffel et al. 2020; the v1.1 variant with a gated GELU and an untied output layer).

What differs from other transformers: no 1/√d in attention, RMS norms without bias before each sublayer,
learned biases over bucketed relative distances, shared by all layers of a stack, instead of positions.
Pad, decoder start and the padding of targets are id 0; the end of sequence is id 1.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from toner_jax.models.dropout import Dropout, Words
from toner_jax.models.layers import (
    MASKED,
    Dtype,
    Embedding,
    Linear,
    RMSNorm,
    all_tokens,
    attention_scores,
    mask_to_bias,
    merge_heads,
    on_tokens,
    split_heads,
)
from toner_jax.models.stacks import UNROLLED, Stack, in_a_loop, recomputed
from toner_jax.models.t5.config import T5Config
from toner_jax.models.tokens import NO_TOKENS, Layout, Tokens, Unpadding, make_tokens


def relative_buckets(
    queries: int, keys: int, *, bidirectional: bool, num_buckets: int, max_distance: int
) -> np.ndarray:
    """Bucket of each (query, key) distance, int32 [Q, K]: exact up to half the buckets of a direction,
    then logarithmic up to `max_distance`."""
    distance = np.arange(keys)[None, :] - np.arange(queries)[:, None]
    bucket = np.zeros_like(distance)
    if bidirectional:
        num_buckets //= 2
        bucket += (distance > 0) * num_buckets
        distance = np.abs(distance)
    else:
        distance = np.maximum(-distance, 0)
    exact = num_buckets // 2
    # fp32, as the reference computes it: in fp64 a few distances fall on the other side of a bucket.
    ratio = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
    scale = np.float32(np.log(max_distance / exact))
    far = exact + (ratio / scale * np.float32(num_buckets - exact)).astype(np.int32)
    buckets: np.ndarray = bucket + np.where(distance < exact, distance, np.minimum(far, num_buckets - 1))
    return buckets.astype(np.int32)


class RelativeBias(nn.Module):
    """Attention bias [1, H, Q, K] by relative distance."""

    config: T5Config
    bidirectional: bool

    @nn.compact
    def __call__(self, queries: int, keys: int) -> jax.Array:
        c = self.config
        shape = (c.relative_attention_num_buckets, c.num_heads)
        table = self.param("embedding", nn.initializers.normal(c.d_model**-0.5), shape, jnp.float32)
        buckets = relative_buckets(
            queries,
            keys,
            bidirectional=self.bidirectional,
            num_buckets=c.relative_attention_num_buckets,
            max_distance=c.relative_attention_max_distance,
        )
        return jnp.take(table, buckets, axis=0).transpose(2, 0, 1)[None]


class Attention(nn.Module):
    """Multi-head attention. Keys and values are projected apart from their use, so that decoding can
    cache them."""

    config: T5Config
    dtype: Dtype

    def setup(self) -> None:
        c = self.config
        inner = c.num_heads * c.d_kv
        normal = nn.initializers.normal
        self.query = Linear(inner, normal((c.d_model * c.d_kv) ** -0.5), dtype=self.dtype, tensor="outputs")
        self.key = Linear(inner, normal(c.d_model**-0.5), dtype=self.dtype, tensor="outputs")
        self.value = Linear(inner, normal(c.d_model**-0.5), dtype=self.dtype, tensor="outputs")
        self.out = Linear(c.d_model, normal(inner**-0.5), dtype=self.dtype, tensor="inputs")
        self.dropout = Dropout(c.dropout_rate)

    def keys_values(
        self, x_BKD: jax.Array, unpadding: Unpadding | None = None
    ) -> tuple[jax.Array, jax.Array]:
        key, value, heads = self.key(x_BKD), self.value(x_BKD), self.config.num_heads
        return split_heads(key, heads, unpadding), split_heads(value, heads, unpadding)

    def __call__(
        self,
        x_BQD: jax.Array,
        keys_values: tuple[jax.Array, jax.Array],
        bias: jax.Array,
        deterministic: bool,
        keys_transposed: bool = False,
        tokens: Tokens = NO_TOKENS,
    ) -> jax.Array:
        """[B, Q, D] of queries [B, Q, D]; keys and values as `keys_values` gives them, or keys [B, H, Dh, K]."""
        q = split_heads(self.query(x_BQD), self.config.num_heads, tokens.unpadding)
        k, v = keys_values
        scores = attention_scores(q, k, bias, keys_transposed=keys_transposed)
        weights = self.dropout(scores, deterministic, tokens.grid_words).astype(self.dtype)
        return self.out(merge_heads(jnp.einsum("bhqk,bhkd->bhqd", weights, v), tokens.unpadding))


class FeedForward(nn.Module):
    config: T5Config
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, deterministic: bool, words: Words | None = None) -> jax.Array:
        c = self.config
        normal = nn.initializers.normal
        if c.gated_gelu:
            gate = Linear(c.d_ff, normal(c.d_model**-0.5), dtype=self.dtype, tensor="outputs", name="wi_0")(x)
            up = Linear(c.d_ff, normal(c.d_model**-0.5), dtype=self.dtype, tensor="outputs", name="wi_1")(x)
            h = nn.gelu(gate, approximate=True) * up
        else:
            h = nn.relu(
                Linear(c.d_ff, normal(c.d_model**-0.5), dtype=self.dtype, tensor="outputs", name="wi")(x)
            )
        h = Dropout(c.dropout_rate)(h, deterministic, words)
        return Linear(c.d_model, normal(c.d_ff**-0.5), dtype=self.dtype, tensor="inputs", name="wo")(h)


class EncoderLayer(nn.Module):
    config: T5Config
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array, tokens: Tokens, deterministic: bool) -> jax.Array:
        c = self.config
        drop = Dropout(c.dropout_rate)
        h = RMSNorm(c.layer_norm_epsilon, self.dtype, name="self_attention_norm")(x)
        attention = Attention(c, self.dtype, name="self_attention")
        keys_values = attention.keys_values(h, tokens.unpadding)
        h = attention(h, keys_values, bias, deterministic, tokens=tokens)
        x = x + drop(h, deterministic, tokens.words)
        h = RMSNorm(c.layer_norm_epsilon, self.dtype, name="feed_forward_norm")(x)
        h = FeedForward(c, self.dtype, name="feed_forward")(h, deterministic, tokens.words)
        added: jax.Array = x + drop(h, deterministic, tokens.words)
        return added


class DecoderLayer(nn.Module):
    config: T5Config
    dtype: Dtype

    def setup(self) -> None:
        c = self.config
        self.self_attention_norm = RMSNorm(c.layer_norm_epsilon, self.dtype)
        self.self_attention = Attention(c, self.dtype)
        self.cross_attention_norm = RMSNorm(c.layer_norm_epsilon, self.dtype)
        self.cross_attention = Attention(c, self.dtype)
        self.feed_forward_norm = RMSNorm(c.layer_norm_epsilon, self.dtype)
        self.feed_forward = FeedForward(c, self.dtype)
        self.drop = Dropout(c.dropout_rate)

    def __call__(
        self,
        x: jax.Array,
        encoded: jax.Array,
        bias: jax.Array,
        cross_bias: jax.Array,
        tokens: tuple[Tokens, Tokens],
        deterministic: bool,
    ) -> jax.Array:
        """States of the target's tokens; `tokens` are those of the source and the target."""
        of_source, of_target = tokens
        h = self.self_attention_norm(x)
        keys_values = self.self_attention.keys_values(h, of_target.unpadding)
        h = self.self_attention(h, keys_values, bias, deterministic, tokens=of_target)
        x = x + self.drop(h, deterministic, of_target.words)
        cross = self.cross_attention.keys_values(encoded, of_source.unpadding)
        return self.after_self_attention(x, cross, cross_bias, deterministic, tokens=of_target)

    def after_self_attention(
        self,
        x: jax.Array,
        cross: tuple[jax.Array, jax.Array],
        cross_bias: jax.Array,
        deterministic: bool,
        keys_transposed: bool = False,
        tokens: Tokens = NO_TOKENS,
    ) -> jax.Array:
        """Cross-attention to the source's keys and values `cross`, and the feed-forward layer: [B, Q, D]."""
        h = self.cross_attention_norm(x)
        h = self.cross_attention(h, cross, cross_bias, deterministic, keys_transposed, tokens)
        x = x + self.drop(h, deterministic, tokens.words)
        h = self.feed_forward(self.feed_forward_norm(x), deterministic, tokens.words)
        added: jax.Array = x + self.drop(h, deterministic, tokens.words)
        return added


class Encoder(nn.Module):
    config: T5Config
    dtype: Dtype
    stack: Stack

    @nn.compact
    def __call__(self, x: jax.Array, mask_BS: jax.Array, tokens: Tokens, deterministic: bool) -> jax.Array:
        c = self.config
        length = mask_BS.shape[1]
        position = RelativeBias(c, bidirectional=True, name="relative_attention_bias")(length, length)
        bias = position + mask_to_bias(mask_BS)[:, None, None, :]
        x = Dropout(c.dropout_rate)(x, deterministic, tokens.words)
        if self.stack.scan and not self.is_initializing():
            one, given = EncoderLayer(c, self.dtype, parent=None), (bias, tokens, deterministic)
            x = in_a_loop(self, one, c.num_layers, x, given, draws=not deterministic)
        else:
            layer = recomputed(EncoderLayer, self.stack, (4,))
            for i in range(c.num_layers):
                x = layer(c, self.dtype, name=f"layers_{i}")(x, bias, tokens, deterministic)
        x = RMSNorm(c.layer_norm_epsilon, self.dtype, name="final_norm")(x)
        return all_tokens(Dropout(c.dropout_rate)(x, deterministic, tokens.words))


class Decoder(nn.Module):
    config: T5Config
    dtype: Dtype
    stack: Stack

    def setup(self) -> None:
        c = self.config
        layer = recomputed(DecoderLayer, self.stack, (6,))
        self.layers = [layer(c, self.dtype) for _ in range(c.num_decoder_layers)]
        self.relative_attention_bias = RelativeBias(c, bidirectional=False)
        self.final_norm = RMSNorm(c.layer_norm_epsilon, self.dtype)
        self.drop = Dropout(c.dropout_rate)

    def __call__(
        self,
        x: jax.Array,
        encoded: jax.Array,
        source_mask_BS: jax.Array,
        length: int,
        tokens: tuple[Tokens, Tokens],
        deterministic: bool,
    ) -> jax.Array:
        """States of targets padded to `length`; `tokens` are those of the source and the target."""
        causal = np.where(np.tril(np.ones((length, length), bool)), 0.0, MASKED).astype(np.float32)
        bias = self.relative_attention_bias(length, length) + causal
        cross_bias = mask_to_bias(source_mask_BS)[:, None, None, :]
        words = tokens[1].words
        x = self.drop(x, deterministic, words)
        if self.stack.scan and not self.is_initializing():
            one = DecoderLayer(self.config, self.dtype, parent=None)
            given = encoded, bias, cross_bias, tokens, deterministic
            x = in_a_loop(self, one, self.config.num_decoder_layers, x, given, draws=not deterministic)
        else:
            for layer in self.layers:
                x = layer(x, encoded, bias, cross_bias, tokens, deterministic)
        decoded: jax.Array = self.drop(self.final_norm(x), deterministic, words)
        return decoded


class T5(nn.Module):
    """The encoder-decoder, as training runs it; `toner_jax.models.t5.decoder` writes with it token by token."""

    config: T5Config
    dtype: Dtype = jnp.float32
    stack: Stack = UNROLLED

    def setup(self) -> None:
        c = self.config
        self.shared = Embedding(c.vocab_size, c.d_model, nn.initializers.normal(1.0), self.dtype)
        self.encoder = Encoder(c, self.dtype, self.stack)
        self.decoder = Decoder(c, self.dtype, self.stack)
        if not c.tie_embeddings:
            init = nn.initializers.normal(c.d_model**-0.5)
            self.lm_head = Linear(
                c.vocab_size, init, dtype=self.dtype, out_dtype=jnp.float32, tensor="outputs"
            )

    def __call__(
        self, source: jax.Array, source_mask: jax.Array, target_in: jax.Array, deterministic: bool = True
    ) -> jax.Array:
        """Logits fp32 [B, T, V] of source ids [B, S] and right-shifted target ids [B, T]."""
        return self.encode_and_decode(source, source_mask, target_in, deterministic)[1]

    def encode_and_decode(
        self,
        source: jax.Array,
        source_mask: jax.Array,
        target_in: jax.Array,
        deterministic: bool = True,
        layout: Layout | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """The encoder's states [B, S, D], and logits of the target, fp32 [B, T, V], or those of its tokens alone
        [G, N, V] where a layout says which they are."""
        tokens = of_source, of_target = self._tokens(source_mask, target_in, deterministic, layout)
        ids = source, target_in
        if of_source.unpadding and of_target.unpadding:
            ids = of_source.unpadding.unpad(source), of_target.unpadding.unpad(target_in)
        # Both sides are looked up together, so that the gradient of the table is summed once.
        x, count = self.shared(jnp.concatenate(ids, axis=1)), ids[0].shape[1]
        encoded = self.encoder(on_tokens(x[:, :count]), source_mask, of_source, deterministic)
        x, length = on_tokens(x[:, count:]), target_in.shape[1]
        decoded = self.decoder(x, encoded, source_mask, length, tokens, deterministic)
        return of_source.unpadding.pad(encoded) if of_source.unpadding else encoded, self.logits(decoded)

    def _tokens(
        self, source_mask: jax.Array, target_in: jax.Array, deterministic: bool, layout: Layout | None
    ) -> tuple[Tokens, Tokens]:
        """Those of the source and the target."""
        draws = not deterministic and self.config.dropout_rate > 0
        keys = jax.random.split(self.make_rng("dropout")) if draws else (None, None)
        if layout is None:
            return make_tokens(source_mask, keys[0]), make_tokens(target_in, keys[1])
        return (
            make_tokens(source_mask, keys[0], layout.source_cells, layout.numbers),
            make_tokens(layout.target_mask, keys[1], layout.target_cells, layout.numbers),
        )

    def encode(self, source: jax.Array, source_mask: jax.Array) -> jax.Array:
        """States [B, S, D] of ids int32 [B, S], without dropout; `source_mask` [B, S] is 1 on real tokens."""
        return self.encoder(self.shared(source), source_mask, NO_TOKENS, True)

    def decode(self, encoded: jax.Array, source_mask: jax.Array, target_in: jax.Array) -> jax.Array:
        """Logits fp32 [B, T, V], all positions at once, without dropout."""
        x, length = self.shared(target_in), target_in.shape[1]
        return self.logits(self.decoder(x, encoded, source_mask, length, (NO_TOKENS, NO_TOKENS), True))

    def logits(self, x: jax.Array) -> jax.Array:
        if self.config.tie_embeddings:
            return self.shared.attend(x * self.config.d_model**-0.5)
        return self.lm_head(x)


def shift_right(target: jax.Array) -> jax.Array:
    """Decoder inputs of targets [B, T]: the start id 0, then all but the last."""
    return jnp.pad(target[:, :-1], ((0, 0), (1, 0)))
