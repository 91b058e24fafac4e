"""Beam search on our T5 against transformers' `generate` on the same weights."""

from __future__ import annotations

import jax
import numpy as np
import oracles
import pytest
import torch

from toner_jax.decoding.search import SearchOptions, beam
from toner_jax.models.t5.decoder import T5Decoder

pytestmark = pytest.mark.slow


def our_beam(folder, source, beams, limit, penalty):
    model, params = oracles.our_t5(folder)

    @jax.jit
    def run(params, source):
        decoder = T5Decoder(model, params)
        options = SearchOptions(limit, beams=beams, length_penalty=penalty)
        return beam(decoder, decoder.encode(source), options)

    return jax.device_get(run(params, source))


def compare(folder, variant, rows, penalty, limit=16, beams=4):
    """How many of the best hypotheses differ, and the largest difference of their scores."""
    reference = oracles.torch_t5(variant)
    oracles.write(reference, folder)
    source, mask = oracles.random_rows(11, rows, 24, shortest=4)
    generated = reference.generate(
        input_ids=torch.from_numpy(source).long(),
        attention_mask=torch.from_numpy(mask),
        do_sample=False,
        num_beams=beams,
        early_stopping=False,
        length_penalty=penalty,
        max_new_tokens=limit,
        output_scores=True,
        return_dict_in_generate=True,
    )
    tokens = generated.sequences[:, 1:].numpy()
    expected = np.zeros((rows, limit), np.int32)
    expected[:, : tokens.shape[1]] = tokens
    # transformers fills up with the end of sequence where the padding is id 0.
    expected[:, 1:][np.cumsum(expected == 1, axis=1)[:, :-1] > 0] = 0
    found = our_beam(folder, source, beams, limit, penalty)
    ended = (found.tokens == 1).any(axis=1)
    assert 0 < ended.sum() < rows
    differ = (found.tokens != expected).any(axis=1).sum()
    return differ, np.abs(found.score - generated.sequences_scores.numpy()).max()


@pytest.mark.parametrize(
    ("variant", "rows", "penalty"),
    [
        ("flan", 30, 1.0),
        *(
            pytest.param(variant, 200, penalty, marks=pytest.mark.slow)
            for variant in oracles.T5_VARIANTS
            for penalty in (1.0, 0.0, 2.0)
        ),
    ],
)
def test_the_best_hypothesis_is_that_of_generate(tmp_path, variant, rows, penalty):
    differing, error = compare(tmp_path, variant, rows, penalty)
    assert differing == 0
    assert error < 1e-4
