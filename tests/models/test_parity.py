"""Given the same weights, ours and PyTorch's T5 and BERT compute the same, forward and backward."""

import functools
from dataclasses import replace

import compare_models
import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import torch
from compare_models import GRADIENT, LOGITS, QUICK, STATES, Pair, apply, largest_difference, tensor
from flax.traverse_util import flatten_dict

from toner_jax import losses
from toner_jax.models.pooling import mean_pool
from toner_jax.models.stacks import Stack
from toner_jax.models.t5.model import shift_right
from toner_jax.models.toner import ToNER, TypeHead


@pytest.fixture(scope="module", params=[pytest.param("v1_0", marks=pytest.mark.slow), "flan"])
def t5(request, tmp_path_factory):
    reference = oracles.torch_t5(request.param)
    return Pair(reference, *oracles.our_t5(oracles.write(reference, tmp_path_factory.mktemp(request.param))))


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    reference = oracles.torch_bert()
    return Pair(reference, *oracles.our_bert(oracles.write(reference, tmp_path_factory.mktemp("bert"))))


def test_encoder_states(t5):
    assert compare_models.t5_states(t5) < STATES


def test_logits_and_loss(t5):
    logits, loss = compare_models.t5_logits_and_loss(t5)
    assert logits < LOGITS
    assert loss < LOGITS


@pytest.mark.slow
def test_every_gradient_of_t5(t5):
    errors = compare_models.t5_gradients(t5)
    assert {name: e for name, e in errors.items() if e > GRADIENT} == {}


@pytest.mark.slow
def test_padding_changes_no_real_position_of_t5(t5):
    model, params = t5.model, t5.params
    source, mask, target = oracles.random_batch()
    states = apply(model, "encode", params, source, mask)
    logits = apply(model, None, params, source, mask, shift_right(target))
    row = 1
    s, t = mask[row].sum(), (target[row] != 0).sum()
    assert s < source.shape[1]
    assert t < target.shape[1]
    source, mask, target = source[row : row + 1, :s], mask[row : row + 1, :s], target[row : row + 1, :t]
    np.testing.assert_allclose(apply(model, "encode", params, source, mask)[0], states[row, :s], atol=STATES)
    alone = apply(model, None, params, source, mask, shift_right(target))
    np.testing.assert_allclose(alone[0], logits[row, :t], atol=LOGITS)


@pytest.mark.slow
def test_what_stands_in_padding_does_not_matter(t5, bert):
    source, mask, target = oracles.random_batch()
    garbage = np.where(mask == 1, source, 77)
    real = mask.astype(bool)
    model, params = t5.model, t5.params
    first, second = (apply(model, None, params, ids, mask, shift_right(target)) for ids in (source, garbage))
    np.testing.assert_array_equal(first, second)
    model, params = bert.model, bert.params
    first, second = (apply(model, None, params, ids, mask) for ids in (source, garbage))
    np.testing.assert_array_equal(first[real], second[real])


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (16, 64), (32, 20), (64, 512)])
def test_relative_buckets_of_all_distances(bidirectional, num_buckets, max_distance):
    assert compare_models.different_buckets(bidirectional, num_buckets, max_distance) == 0


def assert_remat_changes_nothing(model, params, loss):
    """`loss` takes (apply, rngs); dropout is on, from rbg keys, which are quicker to compile than threefry."""
    rngs = {"dropout": jax.random.key(3, impl="rbg")}

    def value_and_gradients(model):
        function = jax.value_and_grad(
            lambda params: loss(functools.partial(model.apply, {"params": params}), rngs)
        )
        return jax.jit(function, compiler_options=QUICK)(params)

    plain, again = value_and_gradients(model), value_and_gradients(model.clone(stack=Stack("full")))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), plain, again)


@pytest.mark.slow
@pytest.mark.parametrize("t5", ["flan"], indirect=True)
def test_remat_changes_nothing_in_t5(t5):
    source, mask, target = oracles.random_batch()

    def loss(apply, rngs):
        logits = apply(source, mask, shift_right(target), False, rngs=rngs)
        return losses.generation_loss(logits, jnp.asarray(target), jnp.ones(len(target)))

    shallow = t5.model.clone(config=replace(t5.model.config, num_layers=1, num_decoder_layers=1))
    assert_remat_changes_nothing(shallow, t5.params, loss)


@pytest.mark.slow
def test_remat_changes_nothing_in_bert(bert):
    ids, mask = oracles.random_rows(9, 6, 31)

    def loss(apply, rngs):
        return jnp.sum(jnp.square(mean_pool(apply(ids, mask, False, rngs=rngs), mask)[:, ::2]))

    shallow = bert.model.clone(config=replace(bert.model.config, num_hidden_layers=1))
    assert_remat_changes_nothing(shallow, bert.params, loss)


@pytest.mark.slow
@pytest.mark.parametrize(
    "blocks",
    [pytest.param([1] * 11, marks=pytest.mark.slow), [3, 1, 3, 3, 1]],
    ids=["one by one", "in blocks"],
)
def test_cached_logits_are_the_uncached_ones(t5, blocks):
    assert compare_models.cached_logits(t5, blocks) < LOGITS


@pytest.mark.slow
def test_logits_of_chosen_tokens_after_taking_back_wrong_ones(t5):
    assert compare_models.rewound_logits(t5) < LOGITS


@pytest.mark.slow
@pytest.mark.parametrize("rows", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_greedy_tokens_are_those_of_generate(t5, rows):
    decoded = compare_models.decode_random(t5, rows)
    ended = (decoded.ours == 1).any(axis=1)
    assert len(np.unique(decoded.ours)) > 20  # the comparison is not one of constants
    assert ended.any()
    assert not ended.all()
    assert decoded.wrong() == {}
    assert decoded.equal() >= 0.98 * rows  # ties of the two best are rare


@pytest.mark.slow
@pytest.mark.parametrize("t5", ["flan"], indirect=True)
def test_type_head(t5):
    plain, params = t5.model, t5.params
    source, mask, target = oracles.random_batch()
    pool = mask.copy()
    pool[:, 1::3] = 0
    head = TypeHead(5).init(jax.random.key(1), jnp.zeros((1, 32)))["params"]
    model = ToNER(plain.config, num_types=5)
    inputs = (source, mask, shift_right(target))
    logits, types = apply(model, None, {**params, "type_head": head}, *inputs, pool)
    np.testing.assert_allclose(logits, apply(plain, None, params, *inputs), atol=LOGITS)

    weights = {k: torch.tensor(np.asarray(v)) for k, v in flatten_dict(head, sep="/").items()}
    states = t5.reference.encoder(tensor(source), attention_mask=tensor(mask)).last_hidden_state
    h = (states * tensor(pool)[..., None]).sum(1) / tensor(pool).sum(1, keepdim=True)
    h = torch.tanh(h @ weights["dense/kernel"] + weights["dense/bias"])
    assert largest_difference(types, h @ weights["out/kernel"] + weights["out/bias"]) < STATES


def test_bert_states(bert):
    assert compare_models.bert_states(bert) < STATES


def test_padding_changes_no_real_position_of_bert(bert):
    model, params = bert.model, bert.params
    ids, mask = oracles.random_rows(7, 5, 29)
    states = apply(model, None, params, ids, mask)
    row = 1
    n = mask[row].sum()
    assert n < ids.shape[1]
    alone = apply(model, None, params, ids[row : row + 1, :n], mask[row : row + 1, :n])
    np.testing.assert_allclose(alone[0], states[row, :n], atol=STATES)


def test_gte_embedding(bert):
    assert compare_models.bert_embeddings(bert) < compare_models.EMBEDDING


@pytest.mark.slow
def test_every_gradient_of_bert(bert):
    errors = compare_models.bert_gradients(bert)
    assert {name: e for name, e in errors.items() if e > GRADIENT} == {}
