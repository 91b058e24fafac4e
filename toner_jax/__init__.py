"""Type-oriented named entity recognition (ToNER) on JAX and Flax."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from toner_jax.api import Ner
    from toner_jax.errors import UserError
    from toner_jax.inference.predicted import PredictedEntity
    from toner_jax.schema import EntityType, Schema

__version__ = "0.1.0"
__all__ = ["EntityType", "Ner", "PredictedEntity", "Schema", "UserError", "__version__", "load"]

# Imported on first use: `import toner_jax` stays light.
_MODULES = {
    "EntityType": "toner_jax.schema",
    "Ner": "toner_jax.api",
    "PredictedEntity": "toner_jax.inference.predicted",
    "Schema": "toner_jax.schema",
    "UserError": "toner_jax.errors",
}


def load(model: str | Path, *, revision: str | None = None, accept_mixed: bool = False) -> Ner:
    """Both models of a finished run, ready for `predict` and `match_types`.

    Programs that it compiles are cached between processes, as the commands do, unless JAX's compilation cache is
    set up already.

    Args:
      model: a work directory, a folder from `Ner.save_pretrained`, "quickstart", the demonstration that the package
        brings, or user/model of the Hugging Face hub.
      revision: of a model of the hub: a branch, tag or commit.
      accept_mixed: stages of a work directory that do not belong together are a warning, as in `Ner`.

    Raises:
      UserError: there is no such model, it is damaged, or holds an unfinished run, or stages that do not belong
        together.
    """
    from toner_jax.api import Ner
    from toner_jax.parallel.runtime import set_up_compilation

    set_up_compilation()
    return Ner(model, accept_mixed=accept_mixed, revision=revision)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
