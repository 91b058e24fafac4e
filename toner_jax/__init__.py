"""Type-oriented named entity recognition (ToNER) on JAX and Flax."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from toner_jax.api import Ner

__version__ = "0.1.0"


def load(model: str | Path) -> Ner:
    """Both models of a finished run, ready for `predict` and `match_types`."""
    from toner_jax.api import Ner

    return Ner(model)
