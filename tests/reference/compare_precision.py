"""bfloat16: how far ours and PyTorch's own are from PyTorch's fp32, and whether anything overflows."""

from __future__ import annotations

import copy
import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import torch
from compare_models import QUICK, Pair, apply, tensor, torch_forward
from flax.traverse_util import flatten_dict, unflatten_dict

from toner_jax import losses
from toner_jax.models import registry
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.model import T5, shift_right
from toner_jax.parallel.mesh import make_mesh
from toner_jax.training.optimizer import adamw, linear_schedule
from toner_jax.training.state import Seed, create_state, make_train_step

RATIO = 1.5  # our error over PyTorch's own
LARGE = 1e4  # activations that fp16, whose largest number is 65,504, does not survive
DEEP = T5Config(
    vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=24, num_decoder_layers=24, num_heads=4,
    dropout_rate=0.0,
)  # fmt: skip


def t5_ratios(pair: Pair) -> dict[str, float]:
    """Of encoder states and of logits, over all real positions: our error over PyTorch's."""
    source, mask, target = oracles.random_batch(rows=16)
    half, ours = copy.deepcopy(pair.reference).bfloat16(), pair.model.clone(dtype=jnp.bfloat16)
    real, written = mask.astype(bool), target != 0

    def torch_states(model):
        return model.encoder(tensor(source), attention_mask=tensor(mask)).last_hidden_state

    def torch_logits(model):
        return torch_forward(model, source, mask, target).logits

    states = apply(ours, "encode", pair.params, source, mask)
    logits = apply(ours, None, pair.params, source, mask, shift_right(target))
    return {
        "states": _ratio(states, torch_states, pair.reference, half, real),
        "logits": _ratio(logits, torch_logits, pair.reference, half, written),
    }


def bert_ratio(pair: Pair) -> float:
    """The same of BERT's states."""
    ids, mask = oracles.random_rows(7, 16, 29)
    half, ours = copy.deepcopy(pair.reference).bfloat16(), pair.model.clone(dtype=jnp.bfloat16)
    states = apply(ours, None, pair.params, ids, mask)
    return _ratio(
        states,
        lambda model: model(tensor(ids), attention_mask=tensor(mask)).last_hidden_state,
        pair.reference,
        half,
        mask.astype(bool),
    )


def _ratio(ours, compute, full, half, chosen) -> float:
    with torch.no_grad():
        exact, rounded = (compute(model).float().numpy()[chosen] for model in (full, half))
    own = np.linalg.norm(rounded - exact)
    assert own > 0
    return float(np.linalg.norm(np.asarray(ours, np.float32)[chosen] - exact) / own)


def large_activations(pair: Pair, dtype) -> tuple[float, float, bool]:
    """(largest activation of the encoder in fp32, relative error of its states, all finite?) of a T5 v1.1
    whose first feed-forward layer multiplies by `LARGE`."""
    source, mask, target = oracles.random_batch()
    flat = flatten_dict(pair.params, sep="/")
    flat["encoder/layers_0/feed_forward/wi_1/kernel"] *= LARGE
    params = unflatten_dict(flat, sep="/")
    ours = pair.model.clone(dtype=dtype)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def observed(params):
        options = {"method": "encode", "capture_intermediates": True, "mutable": "intermediates"}
        return pair.model.apply({"params": params}, source, mask, **options)

    exact, seen = observed(params)
    states = apply(ours, "encode", params, source, mask)

    def loss(params):
        logits = ours.apply({"params": params}, source, mask, shift_right(target))
        return losses.generation_loss(logits, jnp.asarray(target), jnp.ones(len(target)))

    value, gradient = jax.jit(jax.value_and_grad(loss), compiler_options=QUICK)(params)
    finite = all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves((value, gradient, states)))
    real = mask.astype(bool)
    difference = np.asarray(states, np.float32)[real] - np.asarray(exact)[real]
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(seen))
    return largest, float(np.linalg.norm(difference) / np.linalg.norm(np.asarray(exact)[real])), finite


def deep_losses(steps: int = 200) -> np.ndarray:
    """Losses of training a T5 of xl's depth in bfloat16, narrow enough for a test, on random targets."""
    model, rng = T5(DEEP, jnp.bfloat16), np.random.default_rng(0)
    # As constants: to compile the random numbers of a thousand tensors would take as long as all the rest.
    params = jax.tree.map(
        lambda s: (
            rng.normal(0, s.shape[0] ** -0.5, s.shape).astype(np.float32)
            if len(s.shape) == 2
            else np.ones(s.shape, np.float32)
        ),
        oracles.t5_shapes(model),
    )
    tx = adamw(linear_schedule(1e-3, steps, 0.1), weight_decay=0.01, beta2=0.999, clip_norm=1.0)
    rules = registry.of(DEEP).sharding
    state = create_state(lambda key: params, tx, seed=Seed(0), mesh=make_mesh(), preset="fsdp", rules=rules)

    def loss(params, batch, key):
        logits = model.apply({"params": params}, batch["source"], batch["mask"], shift_right(batch["target"]))
        value = losses.generation_loss(logits, batch["target"], jnp.ones(len(batch["target"])))
        return value, {"loss": value}

    def batch(i):
        source = np.random.default_rng(i).integers(2, 64, (4, 12)).astype(np.int32)
        return {"source": source, "mask": np.ones_like(source), "target": source[:, :6]}

    step, measured = make_train_step(loss, tx, state), []
    for i in range(steps):
        state, metrics = step(state, batch(i))
        assert not metrics["skipped"]
        measured.append(float(metrics["loss"]))
    return np.array(measured)
