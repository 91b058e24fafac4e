"""The models against PyTorch's: each function measures one largest error, on weights that both share."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import torch
from flax.traverse_util import flatten_dict
from transformers.models.t5.modeling_t5 import T5Attention

from toner_jax import losses
from toner_jax.decoding.search import SearchOptions, greedy
from toner_jax.models.bert import hugging_face as bert_layout
from toner_jax.models.hf.names import Names
from toner_jax.models.pooling import mean_pool, normalize
from toner_jax.models.t5 import hugging_face as t5_layout
from toner_jax.models.t5.decoder import T5Decoder
from toner_jax.models.t5.model import relative_buckets, shift_right

LOGITS = 1e-4  # absolute, on logits of order 10
STATES = 2e-5  # absolute, on normalised states
EMBEDDING = 1e-6  # absolute, on unit vectors
GRADIENT = 1e-4  # of each tensor's norm
NO_GRADIENT = 1e-3  # the norm under which a gradient is rounding: that of a key's bias, which softmax forgets

# Compiling is most of the time here. Gradients and decoding are tested as they run elsewhere.
QUICK = {"xla_backend_optimization_level": 0}


@dataclass(frozen=True)
class Pair:
    """PyTorch's model, and ours with the same weights."""

    reference: Any
    model: Any
    params: Any


def tensor(array) -> torch.Tensor:
    return torch.tensor(np.asarray(array, np.int64))


def largest_difference(ours, theirs: torch.Tensor) -> float:
    return float(np.abs(np.asarray(ours, np.float32) - theirs.detach().float().numpy()).max())


@functools.partial(jax.jit, static_argnums=(0, 1), compiler_options=QUICK)
def apply(model, method, params, *args):
    return model.apply({"params": params}, *args, method=method)


# Forward


def t5_states(pair: Pair) -> float:
    source, mask, _ = oracles.random_batch()
    expected = pair.reference.encoder(tensor(source), attention_mask=tensor(mask)).last_hidden_state
    states = apply(pair.model, "encode", pair.params, source, mask)
    real = mask.astype(bool)
    return largest_difference(states[real], expected[torch.tensor(real)])


def torch_forward(reference, source, mask, target):
    """PyTorch's own logits and loss, in which padding of the target has no part."""
    labels = tensor(np.where(target == 0, -100, target))
    return reference(tensor(source), attention_mask=tensor(mask), labels=labels)


def our_loss(model, params, source, mask, target):
    logits = model.apply({"params": params}, source, mask, shift_right(target))
    return losses.generation_loss(logits, target, jnp.ones(target.shape[0])), logits


def t5_logits_and_loss(pair: Pair) -> tuple[float, float]:
    batch = oracles.random_batch()
    expected = torch_forward(pair.reference, *batch)
    assert expected.logits.abs().max() > 1
    loss, logits = jax.jit(functools.partial(our_loss, pair.model))(pair.params, *batch)
    assert logits.dtype == jnp.float32
    return largest_difference(logits, expected.logits), abs(float(loss) - expected.loss.item())


def bert_states(pair: Pair) -> float:
    ids, mask = oracles.random_rows(7, 5, 29)
    expected = pair.reference(tensor(ids), attention_mask=tensor(mask)).last_hidden_state
    real = mask.astype(bool)
    return largest_difference(
        apply(pair.model, None, pair.params, ids, mask)[real], expected[torch.tensor(real)]
    )


def torch_embedding(reference, ids, mask) -> torch.Tensor:
    states = reference(tensor(ids), attention_mask=tensor(mask)).last_hidden_state
    mean = torch.stack([row[: n.sum()].mean(dim=0) for row, n in zip(states, mask, strict=True)])
    return mean / mean.norm(dim=1, keepdim=True)


def bert_embeddings(pair: Pair) -> float:
    ids, mask = oracles.random_rows(9, 6, 31)
    embedding = normalize(mean_pool(apply(pair.model, None, pair.params, ids, mask), mask))
    return largest_difference(embedding, torch_embedding(pair.reference, ids, mask))


def different_buckets(bidirectional: bool, num_buckets: int = 32, max_distance: int = 128) -> int:
    """How many of all distances up to 512 fall into another bucket."""
    distance = torch.arange(513)[None, :] - torch.arange(513)[:, None]
    expected = T5Attention._relative_position_bucket(distance, bidirectional, num_buckets, max_distance)
    ours = relative_buckets(
        513, 513, bidirectional=bidirectional, num_buckets=num_buckets, max_distance=max_distance
    )
    return int((ours != expected.numpy()).sum())


# Backward


def t5_gradients(pair: Pair) -> dict[str, float]:
    """The relative error of every gradient of T5's own loss, by PyTorch's name."""
    batch = oracles.random_batch()
    pair.reference.zero_grad()
    torch_forward(pair.reference, *batch).loss.backward()
    gradient = jax.jit(jax.grad(functools.partial(our_loss, pair.model), has_aux=True))
    return gradient_errors(gradient(pair.params, *batch)[0], pair.reference, t5_layout.NAMES)


def bert_gradients(pair: Pair) -> dict[str, float]:
    """The same of a linear function of the embeddings."""
    ids, mask = oracles.random_rows(9, 6, 31)
    direction = np.random.default_rng(0).normal(size=(6, 32)).astype(np.float32)

    def loss(params):
        embedding = normalize(mean_pool(pair.model.apply({"params": params}, ids, mask), mask))
        return jnp.sum(embedding * direction)

    pair.reference.zero_grad()
    (torch_embedding(pair.reference, ids, mask) * torch.tensor(direction)).sum().backward()
    return gradient_errors(jax.jit(jax.grad(loss))(pair.params), pair.reference, bert_layout.NAMES)


def gradient_errors(gradients, reference, names: Names) -> dict[str, float]:
    """Relative error of each gradient by PyTorch's parameter name; both sides must have the same ones."""
    theirs = {name: p.grad for name, p in reference.named_parameters() if p.grad is not None}
    errors = {}
    for path, ours in flatten_dict(gradients, sep="/").items():
        name, transpose = names.tensor(path)
        if name in theirs:
            expected = theirs[name].numpy()
            difference = np.linalg.norm(np.asarray(ours.T if transpose else ours) - expected)
            errors[name] = float(difference / max(float(np.linalg.norm(expected)), NO_GRADIENT))
        else:
            assert not np.any(ours), path
    assert errors.keys() == theirs.keys()
    return errors


# Decoding


def cached_logits(pair: Pair, blocks: list[int]) -> float:
    """The largest difference of logits step by step, in blocks of so many tokens, from those at once."""
    source, mask, target = oracles.random_batch()
    tokens = shift_right(target)
    encoded, cache = _begin(pair, source, 16)
    parts = []
    for block in jnp.split(tokens, np.cumsum(blocks)[:-1], axis=1):
        logits, cache = _step(pair.model, pair.params, block, encoded, cache)
        parts.append(logits)
    assert (cache.length == sum(blocks)).all()
    assert sum(blocks) == tokens.shape[1]
    expected = apply(pair.model, None, pair.params, source, mask, tokens)
    return float(jnp.abs(jnp.concatenate(parts, axis=1) - expected).max())


def rewound_logits(pair: Pair) -> float:
    """As `cached_logits`, where each row is fed wrong tokens after a number of right ones that are its own, and
    takes the wrong ones back; the candidates scored are some of the vocabulary."""
    source, mask, target = oracles.random_batch()
    tokens = np.asarray(shift_right(target))
    rng, (rows, length), fed = np.random.default_rng(0), tokens.shape, 4
    candidates = rng.integers(0, pair.model.config.vocab_size, (rows, 9), np.int32)
    encoded, cache = _begin(pair, source, fed * length, jnp.asarray(candidates))
    expected = apply(pair.model, None, pair.params, source, mask, tokens)
    expected = np.take_along_axis(np.asarray(expected), candidates[:, None], axis=2)
    at, worst = np.zeros(rows, int), 0.0
    while (at < length).any():
        kept = np.minimum(rng.integers(1, fed + 1, rows), length - at)
        block = rng.integers(2, 20, (rows, fed), np.int32)
        for row in range(rows):
            block[row, : kept[row]] = tokens[row, at[row] : at[row] + kept[row]]
        logits, cache = _step(pair.model, pair.params, block, encoded, cache)
        cache = T5Decoder(pair.model, pair.params).rewind(cache, fed, jnp.asarray(kept, jnp.int32))
        for row in range(rows):
            places = slice(at[row], at[row] + kept[row])
            worst = max([worst, *np.abs(logits[row, : kept[row]] - expected[row, places]).max(axis=1)])
        at += kept
        assert (cache.length == at).all()
    return float(worst)


def _begin(pair: Pair, source, slots: int, candidates: jax.Array | None = None):
    """The encoded sources, and the cache before the first token."""

    def begin(params):
        decoder = T5Decoder(pair.model, params)
        return decoder.encode(source, candidates), decoder.init_cache(len(source), slots)

    return jax.jit(begin)(pair.params)


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def _step(model, params, tokens, encoded, cache):
    return T5Decoder(model, params).step(tokens, encoded, cache)


@dataclass(frozen=True)
class Decoded:
    """Greedy tokens of ours and of `generate`, [rows, length], 0 after each end.

    `gaps` has a value for each row that differs: at its first different token, by how much PyTorch's
    choice beats the second best in our logits. Under `LOGITS` that is a tie, which rounding decides.
    """

    ours: np.ndarray
    theirs: np.ndarray
    gaps: dict[int, float]

    def equal(self) -> int:
        return len(self.ours) - len(self.gaps)

    def wrong(self) -> dict[int, float]:
        return {row: gap for row, gap in self.gaps.items() if gap > LOGITS}


def decode(pair: Pair, source: np.ndarray, mask: np.ndarray, length: int) -> Decoded:
    """Both sides' greedy output of at most `length` tokens for id rows [B, S]."""
    generated = pair.reference.generate(
        input_ids=tensor(source), attention_mask=tensor(mask), do_sample=False, max_new_tokens=length
    ).numpy()
    theirs = np.zeros((len(source), length), np.int32)
    theirs[:, : generated.shape[1] - 1] = generated[:, 1:]
    ours = our_greedy(pair, source, mask, length)
    different = np.flatnonzero((ours != theirs).any(axis=1))
    gaps = {}
    if len(different):
        logits = apply(pair.model, None, pair.params, source, mask, shift_right(jnp.asarray(theirs)))
        for row in different:
            place = np.flatnonzero(ours[row] != theirs[row])[0]
            second, best = np.sort(np.asarray(logits[row, place]))[-2:]
            gaps[int(row)] = float(best - second)
    return Decoded(ours, theirs, gaps)


def decode_random(pair: Pair, rows: int) -> Decoded:
    """`decode` of random prompts of 4 to 24 tokens."""
    return decode(pair, *oracles.random_rows(5, rows, 24, shortest=4), length=20)


def our_greedy(pair: Pair, source, mask, length: int) -> np.ndarray:
    @jax.jit
    def run(params):
        decoder = T5Decoder(pair.model, params)
        return greedy(decoder, decoder.encode(source), SearchOptions(length))[0]

    return np.asarray(run(pair.params))
