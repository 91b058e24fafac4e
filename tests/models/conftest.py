"""Small checkpoints as transformers writes them."""

import oracles
import pytest


@pytest.fixture(params=oracles.T5_VARIANTS)
def t5(request, tmp_path):
    """(PyTorch's model, its folder)."""
    reference = oracles.torch_t5(request.param)
    return reference, oracles.write(reference, tmp_path / "source")


@pytest.fixture
def flan(tmp_path):
    return oracles.write(oracles.torch_t5("flan"), tmp_path / "source")


@pytest.fixture
def bert(tmp_path):
    return oracles.write(oracles.torch_bert(), tmp_path / "source")
