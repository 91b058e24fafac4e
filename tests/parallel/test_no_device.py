"""A kind of device that JAX is told to use and does not find."""

from __future__ import annotations

import jax
import pytest

from toner_jax.errors import UserError
from toner_jax.parallel.mesh import make_mesh

ABSENT = RuntimeError("Unable to initialize backend 'cuda'\nmore")


@pytest.fixture
def told():
    """Sets the kind of device that JAX is told to use."""
    before = jax.config.values["jax_platforms"]
    yield lambda kind: jax.config.update("jax_platforms", kind)
    jax.config.update("jax_platforms", before)


def failing(error):
    def devices():
        raise error

    return devices


@pytest.mark.parametrize("error", [AssertionError(), ABSENT])
def test_it_is_one_line(monkeypatch, told, error):
    monkeypatch.setattr(jax, "devices", failing(error))
    told("cuda")
    with pytest.raises(
        UserError, match=r"^JAX_PLATFORMS=cuda: JAX finds no such device.*; install JAX for it"
    ):
        make_mesh()


def test_an_error_of_another_kind_is_not_hidden(monkeypatch, told):
    monkeypatch.setattr(jax, "devices", failing(RuntimeError("the driver is broken")))
    told(None)
    with pytest.raises(RuntimeError, match="the driver is broken"):
        make_mesh()
