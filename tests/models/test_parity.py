"""Given the same weights, ours and PyTorch's T5 and BERT compute the same, forward and backward."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import torch
from flax.traverse_util import flatten_dict
from transformers.models.t5.modeling_t5 import T5Attention

from toner_jax import losses
from toner_jax.decoding.search import greedy
from toner_jax.models.bert import mean_pool, normalize
from toner_jax.models.hf_names import BERT_NAMES, T5_NAMES
from toner_jax.models.t5 import relative_buckets, shift_right
from toner_jax.models.toner import ToNER, TypeHead

LOGITS = 1e-4  # absolute, on logits of order 10
STATES = 2e-5  # absolute, on normalised states
GRADIENT = 1e-4  # of each tensor's norm
NO_GRADIENT = 1e-3  # the norm under which a gradient is rounding: that of a key's bias, which softmax forgets

# Compiling is most of the time here. Gradients and decoding are tested as they run elsewhere.
QUICK = {"xla_backend_optimization_level": 0}


@pytest.fixture(scope="module", params=oracles.T5_VARIANTS)
def t5(request, tmp_path_factory):
    """(PyTorch's model, ours, our parameters)."""
    reference = oracles.torch_t5(request.param)
    folder = oracles.write(reference, tmp_path_factory.mktemp(request.param))
    return reference, *oracles.our_t5(folder)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    reference = oracles.torch_bert()
    return reference, *oracles.our_bert(oracles.write(reference, tmp_path_factory.mktemp("bert")))


def tensor(array) -> torch.Tensor:
    return torch.tensor(np.asarray(array, np.int64))


def largest_difference(ours, theirs: torch.Tensor) -> float:
    return float(np.abs(np.asarray(ours) - theirs.detach().numpy()).max())


@functools.partial(jax.jit, static_argnums=(0, 1), compiler_options=QUICK)
def apply(model, method, params, *args):
    return model.apply({"params": params}, *args, method=method)


def our_loss(model, params, source, mask, target):
    logits = model.apply({"params": params}, source, mask, shift_right(target))
    return losses.generation_loss(logits, target, jnp.ones(target.shape[0]))


def relative_error(ours, theirs: torch.Tensor) -> float:
    expected = theirs.detach().numpy()
    norm = max(float(np.linalg.norm(expected)), NO_GRADIENT)
    return float(np.linalg.norm(np.asarray(ours) - expected)) / norm


def gradient_errors(gradients, reference, names) -> dict[str, float]:
    """Relative error of each gradient by PyTorch's parameter name; both sides must have the same ones."""
    theirs = {name: p.grad for name, p in reference.named_parameters() if p.grad is not None}
    errors = {}
    for path, ours in flatten_dict(gradients, sep="/").items():
        name, transpose = names.tensor(path)
        if name in theirs:
            errors[name] = relative_error(ours.T if transpose else ours, theirs[name])
        else:
            assert not np.any(ours), path
    assert errors.keys() == theirs.keys()
    return errors


def test_encoder_states(t5):
    reference, model, params = t5
    source, mask, _ = oracles.random_batch()
    expected = reference.encoder(tensor(source), attention_mask=tensor(mask)).last_hidden_state
    states = apply(model, "encode", params, source, mask)
    real = mask.astype(bool)
    assert largest_difference(states[real], expected[torch.tensor(real)]) < STATES


def test_logits_and_loss(t5):
    reference, model, params = t5
    source, mask, target = oracles.random_batch()
    labels = tensor(np.where(target == 0, -100, target))
    expected = reference(tensor(source), attention_mask=tensor(mask), labels=labels)
    logits = apply(model, None, params, source, mask, shift_right(target))
    assert logits.dtype == jnp.float32
    assert expected.logits.abs().max() > 1
    assert largest_difference(logits, expected.logits) < LOGITS
    loss = losses.generation_loss(logits, jnp.asarray(target), jnp.ones(target.shape[0]))
    assert float(loss) == pytest.approx(expected.loss.item(), abs=LOGITS)


def test_every_gradient_of_t5(t5):
    reference, model, params = t5
    source, mask, target = oracles.random_batch()
    reference.zero_grad()
    labels = tensor(np.where(target == 0, -100, target))
    expected = reference(tensor(source), attention_mask=tensor(mask), labels=labels).loss
    expected.backward()
    loss, gradients = jax.jit(jax.value_and_grad(functools.partial(our_loss, model)))(
        params, source, mask, target
    )
    assert float(loss) == pytest.approx(expected.item(), abs=LOGITS)
    errors = gradient_errors(gradients, reference, T5_NAMES)
    assert {name: e for name, e in errors.items() if e > GRADIENT} == {}


def test_padding_changes_no_real_position_of_t5(t5):
    _, model, params = t5
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


def test_what_stands_in_padding_does_not_matter(t5, bert):
    source, mask, target = oracles.random_batch()
    garbage = np.where(mask == 1, source, 77)
    real = mask.astype(bool)
    _, model, params = t5
    first, second = (apply(model, None, params, ids, mask, shift_right(target)) for ids in (source, garbage))
    np.testing.assert_array_equal(first, second)
    _, model, params = bert
    first, second = (apply(model, None, params, ids, mask) for ids in (source, garbage))
    np.testing.assert_array_equal(first[real], second[real])


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (16, 64), (32, 20), (64, 512)])
def test_relative_buckets_of_all_distances(bidirectional, num_buckets, max_distance):
    distance = torch.arange(513)[None, :] - torch.arange(513)[:, None]
    expected = T5Attention._relative_position_bucket(distance, bidirectional, num_buckets, max_distance)
    ours = relative_buckets(
        513, 513, bidirectional=bidirectional, num_buckets=num_buckets, max_distance=max_distance
    )
    np.testing.assert_array_equal(ours, expected.numpy())


def assert_remat_changes_nothing(model, params, loss):
    """`loss` takes (apply, rngs); dropout is on, from rbg keys, which are quicker to compile than threefry."""
    rngs = {"dropout": jax.random.key(3, impl="rbg")}

    def value_and_gradients(model):
        function = jax.value_and_grad(
            lambda params: loss(functools.partial(model.apply, {"params": params}), rngs)
        )
        return jax.jit(function, compiler_options=QUICK)(params)

    plain, again = value_and_gradients(model), value_and_gradients(model.clone(remat=True))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), plain, again)


@pytest.mark.parametrize("t5", ["flan"], indirect=True)
def test_remat_changes_nothing_in_t5(t5):
    _, model, params = t5
    source, mask, target = oracles.random_batch()

    def loss(apply, rngs):
        logits = apply(source, mask, shift_right(target), False, rngs=rngs)
        return losses.generation_loss(logits, jnp.asarray(target), jnp.ones(len(target)))

    shallow = model.clone(config=replace(model.config, num_layers=1, num_decoder_layers=1))
    assert_remat_changes_nothing(shallow, params, loss)


def test_remat_changes_nothing_in_bert(bert):
    _, model, params = bert
    ids, mask = oracles.random_rows(9, 6, 31)

    def loss(apply, rngs):
        return jnp.sum(jnp.square(mean_pool(apply(ids, mask, False, rngs=rngs), mask)[:, ::2]))

    assert_remat_changes_nothing(model.clone(config=replace(model.config, num_hidden_layers=1)), params, loss)


@pytest.mark.parametrize("blocks", [[1] * 11, [3, 1, 3, 3, 1]], ids=["one by one", "in blocks"])
def test_cached_logits_are_the_uncached_ones(t5, blocks):
    _, model, params = t5
    source, mask, target = oracles.random_batch()
    tokens = shift_right(target)
    states = apply(model, "encode", params, source, mask)
    start = jax.jit(lambda params: model.apply({"params": params}, states, mask, 16, method="start"))
    cache, parts = start(params), []
    for block in jnp.split(tokens, np.cumsum(blocks)[:-1], axis=1):
        logits, cache = apply(model, "step", params, block, cache)
        parts.append(logits)
    expected = apply(model, None, params, source, mask, tokens)
    np.testing.assert_allclose(jnp.concatenate(parts, axis=1), expected, atol=LOGITS)
    assert int(cache["index"]) == sum(blocks)


def our_greedy(model, params, source, mask, length):
    @jax.jit
    def run(params):
        def call(method, *args):
            return model.apply({"params": params}, *args, method=method)

        cache = call("start", call("encode", source, mask), mask, length)
        return greedy(functools.partial(call, "step"), cache, len(source), length)[0]

    return np.asarray(run(params))


def test_greedy_tokens_are_those_of_generate(t5):
    reference, model, params = t5
    length = 20
    source, mask = oracles.random_rows(5, 40, 24, shortest=4)
    generated = reference.generate(
        input_ids=tensor(source), attention_mask=tensor(mask), do_sample=False, max_new_tokens=length
    ).numpy()
    expected = np.zeros((len(source), length), np.int32)
    expected[:, : generated.shape[1] - 1] = generated[:, 1:]
    tokens = our_greedy(model, params, source, mask, length)
    ended = (tokens == 1).any(axis=1)
    assert len(np.unique(tokens)) > 20  # the comparison is not one of constants
    assert ended.any()
    assert not ended.all()
    logits = np.sort(apply(model, None, params, source, mask, shift_right(jnp.asarray(expected))), axis=-1)
    for row in np.flatnonzero((tokens != expected).any(axis=1)):
        place = np.flatnonzero(tokens[row] != expected[row])[0]
        best, second = logits[row, place, -1], logits[row, place, -2]
        assert best - second <= LOGITS, f"row {row}, token {place}: {tokens[row]} is not {expected[row]}"


@pytest.mark.parametrize("t5", ["flan"], indirect=True)
def test_type_head(t5):
    reference, plain, params = t5
    source, mask, target = oracles.random_batch()
    pool = mask.copy()
    pool[:, 1::3] = 0
    head = TypeHead(5).init(jax.random.key(1), jnp.zeros((1, 32)))["params"]
    model = ToNER(plain.config, num_types=5)
    inputs = (source, mask, shift_right(target))
    logits, types = apply(model, None, {**params, "type_head": head}, *inputs, pool)
    np.testing.assert_allclose(logits, apply(plain, None, params, *inputs), atol=LOGITS)

    weights = {k: torch.tensor(np.asarray(v)) for k, v in flatten_dict(head, sep="/").items()}
    states = reference.encoder(tensor(source), attention_mask=tensor(mask)).last_hidden_state
    h = (states * tensor(pool)[..., None]).sum(1) / tensor(pool).sum(1, keepdim=True)
    h = torch.tanh(h @ weights["dense/kernel"] + weights["dense/bias"])
    assert largest_difference(types, h @ weights["out/kernel"] + weights["out/bias"]) < STATES


def test_bert_states(bert):
    reference, model, params = bert
    ids, mask = oracles.random_rows(7, 5, 29)
    expected = reference(tensor(ids), attention_mask=tensor(mask)).last_hidden_state
    real = mask.astype(bool)
    states = apply(model, None, params, ids, mask)
    assert largest_difference(states[real], expected[torch.tensor(real)]) < STATES


def test_padding_changes_no_real_position_of_bert(bert):
    _, model, params = bert
    ids, mask = oracles.random_rows(7, 5, 29)
    states = apply(model, None, params, ids, mask)
    row = 1
    n = mask[row].sum()
    assert n < ids.shape[1]
    alone = apply(model, None, params, ids[row : row + 1, :n], mask[row : row + 1, :n])
    np.testing.assert_allclose(alone[0], states[row, :n], atol=STATES)


def torch_embedding(reference, ids, mask) -> torch.Tensor:
    states = reference(tensor(ids), attention_mask=tensor(mask)).last_hidden_state
    mean = torch.stack([row[: n.sum()].mean(dim=0) for row, n in zip(states, mask, strict=True)])
    return mean / mean.norm(dim=1, keepdim=True)


def test_gte_embedding(bert):
    reference, model, params = bert
    ids, mask = oracles.random_rows(9, 6, 31)
    embedding = normalize(mean_pool(apply(model, None, params, ids, mask), mask))
    assert largest_difference(embedding, torch_embedding(reference, ids, mask)) < 1e-6


def test_every_gradient_of_bert(bert):
    reference, model, params = bert
    ids, mask = oracles.random_rows(9, 6, 31)
    direction = np.random.default_rng(0).normal(size=(6, 32)).astype(np.float32)

    def loss(params):
        embedding = normalize(mean_pool(model.apply({"params": params}, ids, mask), mask))
        return jnp.sum(embedding * direction)

    reference.zero_grad()
    (torch_embedding(reference, ids, mask) * torch.tensor(direction)).sum().backward()
    errors = gradient_errors(jax.jit(jax.grad(loss))(params), reference, BERT_NAMES)
    assert {name: e for name, e in errors.items() if e > GRADIENT} == {}
