"""Fifty AdamW steps of both objectives are PyTorch's, loss by loss, and end with the same weights."""

import compare_training
import numpy as np
import pytest
import toner_torch


@pytest.mark.slow
@pytest.mark.parametrize("train", [compare_training.train_generator, compare_training.train_matcher])
def test_training_is_pytorchs(train, tmp_path):
    done = train(tmp_path)
    assert done.loss_error() < compare_training.TOLERANCE
    assert done.weight_error() < compare_training.TOLERANCE
    # What is compared has moved, by far more than the tolerance: all but what starts at zero gradient.
    assert np.median(list(done.moved.values())) > 5 * compare_training.TOLERANCE
    assert len(done.ours) == compare_training.STEPS == 50


def test_the_recipe_is_the_documented_schedule():
    recipe = toner_torch.Recipe(20, 1.0, 0.0, 0.999, 0.1, 1.0)
    assert [recipe.rate(i) for i in (0, 1, 2, 11, 19)] == pytest.approx([0, 0.5, 1, 0.5, 1 / 18])
