"""Building blocks that the architectures share.

Shapes: B batch, S source, T target, Q/K query and key positions, D width, H heads, V vocabulary.
Parameters are fp32 and cast to `dtype` where used; norms and softmax are computed in fp32.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from toner_jax.models.tokens import Unpadding
from toner_jax.parallel.activations import TENSOR, gathered, mesh_of, split
from toner_jax.parallel.mesh import ROWS

Dtype = Any
Initializer = nn.initializers.Initializer

# Added to masked attention scores: finite, so that a fully masked row stays finite, and far below
# any real score in fp32, where the softmax is computed.
MASKED = -1e9
# The fewest tokens that are split: for those of a pass of decoding one exchange is better than two.
_TOKENS = 16


class Linear(nn.Module):
    """y = x·W (+ b) with x [..., in]. Rows are flattened first: XLA's CPU gradient of a 3-D by 2-D
    product is half as fast as that of two matrices.

    Attributes:
      tensor: what the mesh's tensor axis splits: the outputs (column-parallel), the inputs (row-parallel, whose
        products are summed over it), or nothing.
    """

    features: int
    kernel_init: Initializer
    use_bias: bool = False
    dtype: Dtype = jnp.float32
    out_dtype: Dtype | None = None  # of the sums; None for `dtype`
    tensor: Literal["outputs", "inputs", ""] = ""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32)
        inputs = TENSOR if self.tensor == "inputs" else None
        outputs = TENSOR if self.tensor == "outputs" else None
        weights = gathered(kernel.astype(self.dtype), inputs, outputs)  # cast first: half as much is moved
        x = x.astype(self.dtype) if inputs else all_tokens(x.astype(self.dtype))
        rows = x.reshape(-1, x.shape[-1])
        y = jnp.dot(rows, weights) if self.out_dtype is None else _wide_product(rows, weights, self.out_dtype)
        if inputs and splits_further(x):
            y = scattered(y)  # before it is given its shape, or else the sums would be exchanged whole
        y = y.reshape(*x.shape[:-1], self.features)
        y = on_tokens(y) if inputs else on_rows(y, outputs)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
            y = y + bias.astype(self.dtype)
        return y


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _wide_product(rows_ND: jax.Array, weights_DV: jax.Array, dtype: Dtype) -> jax.Array:
    """rows·W in a wider dtype. Its gradients are products of the narrow one again, summed in fp32 as those of every
    other layer are: with the wide gradient as a factor they would take twice as long or longer."""
    return jnp.dot(rows_ND, weights_DV, preferred_element_type=dtype)


def _wide_forward(
    rows_ND: jax.Array, weights_DV: jax.Array, dtype: Dtype
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _wide_product(rows_ND, weights_DV, dtype), (rows_ND, weights_DV)


def _wide_backward(
    dtype: Dtype, factors: tuple[jax.Array, jax.Array], gradient_NV: jax.Array
) -> tuple[jax.Array, jax.Array]:
    rows_ND, weights_DV = factors
    gradient_NV = gradient_NV.astype(rows_ND.dtype)
    return jnp.dot(gradient_NV, weights_DV.T), jnp.dot(rows_ND.T, gradient_NV)


_wide_product.defvjp(_wide_forward, _wide_backward)


class RMSNorm(nn.Module):
    """T5's layer norm: no mean, no bias."""

    epsilon: float
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        x = x.astype(jnp.float32)
        x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + self.epsilon)
        return (x * scale).astype(self.dtype)


class Embedding(nn.Module):
    """Rows of a [V, D] table."""

    vocab_size: int
    features: int
    embedding_init: Initializer
    dtype: Dtype = jnp.float32

    def setup(self) -> None:
        self.embedding = self.param(
            "embedding", self.embedding_init, (self.vocab_size, self.features), jnp.float32
        )

    def __call__(self, ids: jax.Array) -> jax.Array:
        looked_up = _look_up(self.embedding, ids, self.dtype, self.vocab_size)
        return on_tokens(looked_up) if ids.ndim > 1 else looked_up  # positions are no rows of a batch

    def attend(self, x: jax.Array) -> jax.Array:
        """x [..., D] against every row, in fp32: the logits of a tied output layer."""
        rows = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
        logits = rows @ gathered(self.embedding, TENSOR).T
        return on_rows(logits.reshape(*x.shape[:-1], self.vocab_size), TENSOR)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _look_up(table_VD: jax.Array, ids: jax.Array, dtype: Dtype, size: int) -> jax.Array:
    """The table's rows in `dtype`; the gradient sums in fp32, as a token may occur often."""
    if mesh_of(table_VD) is not None:  # cast first: half as much is moved
        table_VD = gathered(table_VD.astype(dtype), TENSOR)
    return jnp.take(table_VD, ids, axis=0).astype(dtype)


def _look_up_forward(
    table_VD: jax.Array, ids: jax.Array, dtype: Dtype, size: int
) -> tuple[jax.Array, jax.Array]:
    return _look_up(table_VD, ids, dtype, size), ids


def _look_up_backward(dtype: Dtype, size: int, ids: jax.Array, gradient: jax.Array) -> tuple[jax.Array, None]:
    # Split by features, each device sums all rows of its own: nothing as large as the table is moved.
    gradient = split(on_rows(gradient), *[None] * (gradient.ndim - 1), ROWS)
    table_VD = jnp.zeros((size, gradient.shape[-1]), jnp.float32).at[ids].add(gradient.astype(jnp.float32))
    return split(table_VD, TENSOR, ROWS), None


_look_up.defvjp(_look_up_forward, _look_up_backward)


def on_rows(x: jax.Array, last: str | None = None) -> jax.Array:
    """Activations [B, …, D] where they belong: the rows of a batch over the mesh's places for them, and the last
    dimension over the axis `last`."""
    return split(x, ROWS, *[None] * (x.ndim - 2), last)


def on_tokens(x: jax.Array) -> jax.Array:
    """States [B, S, D] between sublayers, where every token is for itself: as `on_rows`, and the tokens over the tensor
    axis, which spares its devices each other's norms, dropout and sums (sequence parallelism, Korthikanti et al. 2022).
    Other arrays: as `on_rows`."""
    return split(x, (*ROWS, TENSOR)) if splits_further(x) else on_rows(x)


def splits_further(x: jax.Array) -> bool:
    mesh = mesh_of(x)
    return mesh is not None and x.ndim == 3 and x.shape[1] >= _TOKENS and x.shape[0] % mesh.size == 0


@jax.custom_vjp
def all_tokens(x: jax.Array) -> jax.Array:
    """What `on_tokens` has split, whole on each device of the tensor axis; its gradient is summed over them, and split
    again."""
    return on_rows(x)


@jax.custom_vjp
def scattered(x: jax.Array) -> jax.Array:
    """Sums [rows, D] over the tensor axis, of which each device keeps its share of the rows; the mirror image of
    `all_tokens`."""
    return split(x, (*ROWS, TENSOR))


all_tokens.defvjp(lambda x: (on_rows(x), None), lambda _, gradient: (on_tokens(gradient),))
scattered.defvjp(lambda x: (split(x, (*ROWS, TENSOR)), None), lambda _, gradient: (split(gradient, ROWS),))


def split_heads(x: jax.Array, heads: int, unpadding: Unpadding | None = None) -> jax.Array:
    """[B, S, H·Dh], or [G, N, H·Dh] without padding → [B, H, S, Dh]; heads before positions is the layout that matrix
    products want."""
    x_BSD = x if unpadding is None else unpadding.pad(x)
    b, s, d = x_BSD.shape
    return split(x_BSD.reshape(b, s, heads, d // heads).transpose(0, 2, 1, 3), ROWS, TENSOR)


def merge_heads(x_BHSD: jax.Array, unpadding: Unpadding | None = None) -> jax.Array:
    """[B, H, S, Dh] → [B, S, H·Dh], or [G, N, H·Dh] without padding."""
    b, h, s, d = x_BHSD.shape
    x_BSD = x_BHSD.transpose(0, 2, 1, 3).reshape(b, s, h * d)
    return x_BSD if unpadding is None else unpadding.unpad(x_BSD)


def attention_scores(
    q_BHQD: jax.Array, k: jax.Array, bias: jax.Array, scale: float = 1.0, *, keys_transposed: bool = False
) -> jax.Array:
    """softmax(scale·q·kᵀ + bias) in fp32; `bias` broadcasts to [B, H, Q, K] and carries the mask.

    Keys are [B, H, K, Dh], or [B, H, Dh, K] when transposed: with few queries, as in decoding, twice as fast on CPU.
    """
    product = "bhqd,bhdk->bhqk" if keys_transposed else "bhqd,bhkd->bhqk"
    logits = jnp.einsum(product, q_BHQD, k).astype(jnp.float32)
    return jax.nn.softmax(logits * scale + bias, axis=-1)


def mask_to_bias(mask: jax.Array) -> jax.Array:
    """True/1 = may be attended to → 0, else MASKED; fp32, same shape."""
    return jnp.where(mask.astype(bool), 0.0, MASKED).astype(jnp.float32)
