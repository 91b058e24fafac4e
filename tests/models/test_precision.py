"""bfloat16 loses no more here than in PyTorch, and nothing overflows; fp16 is refused (tests/test_run.py)."""

import compare_precision
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from compare_models import Pair

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=oracles.T5_VARIANTS)
def t5(request, tmp_path_factory):
    reference = oracles.torch_t5(request.param)
    return Pair(reference, *oracles.our_t5(oracles.write(reference, tmp_path_factory.mktemp(request.param))))


def test_t5_in_bfloat16(t5):
    ratios = compare_precision.t5_ratios(t5)
    assert max(ratios.values()) < compare_precision.RATIO, ratios


def test_bert_in_bfloat16(tmp_path):
    reference = oracles.torch_bert()
    pair = Pair(reference, *oracles.our_bert(oracles.write(reference, tmp_path)))
    assert compare_precision.bert_ratio(pair) < compare_precision.RATIO


@pytest.mark.slow
@pytest.mark.parametrize("t5", ["flan"], indirect=True)
def test_large_activations_overflow_in_fp16_alone(t5):
    largest, error, finite = compare_precision.large_activations(t5, jnp.bfloat16)
    assert largest > compare_precision.LARGE
    assert finite
    assert error < 0.05
    assert not compare_precision.large_activations(t5, jnp.float16)[2]


@pytest.mark.slow
def test_losses_stay_finite_at_the_depth_of_xl():
    losses = compare_precision.deep_losses()
    assert np.isfinite(losses).all()
    assert len(losses) == 200
    assert losses[-20:].mean() < losses[:20].mean()  # it trains
