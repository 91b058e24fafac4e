"""The architectures that there are, by Hugging Face's `model_type`.

A new one is a folder beside this file, with an `ARCHITECTURE`, and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from toner_jax.errors import UserError
from toner_jax.models.architecture import Architecture, Kind, ModelConfig, Params
from toner_jax.models.bert.architecture import ARCHITECTURE as BERT
from toner_jax.models.hf.config import ConfigFile
from toner_jax.models.t5.architecture import ARCHITECTURE as T5

ARCHITECTURES: dict[str, Architecture] = {"t5": T5, "mt5": T5, "bert": BERT}

# What a run without a checkpoint trains.
SCRATCH: dict[Kind, Architecture] = {"generator": T5, "matcher": BERT}


def find(model_type: Any, kind: Kind | None, where: object) -> Architecture:
    """The architecture of a model_type, of either kind where `kind` is None.

    Raises:
      UserError: there is none, or it is of the other kind; the message begins with `where`.
    """
    found = {name: a for name, a in ARCHITECTURES.items() if kind in (None, a.kind)}
    if model_type not in found:
        purpose = f"as a {kind}" if kind else "here"
        raise UserError(
            f"{where}: model_type {model_type!r} is not supported {purpose}, only {', '.join(found)}"
        )
    return found[model_type]


def of(config: ModelConfig) -> Architecture:
    """The architecture of a config."""
    return ARCHITECTURES[config.model_type]


def read_config(folder: Path, kind: Kind | None = None) -> Any:
    """The `ModelConfig` of a Hugging Face folder.

    Raises:
      UserError: no such folder, another model_type or kind than ours, or a variant that we do not compute.
    """
    file = ConfigFile.read(folder)
    return find(file.values.get("model_type"), kind, file.path).hf.read_config(file)


def config_to_json(config: Any) -> dict[str, Any]:
    """A `ModelConfig` as our own files keep it: {"model_type", "config"}."""
    return {"model_type": config.model_type, "config": asdict(config)}


def config_from_json(value: Any, kind: Kind | None, where: object) -> Any:
    """The `ModelConfig` that `config_to_json` gave.

    Raises:
      KeyError, TypeError: `value` is something else.
      UserError: the model is of no kind of ours, or of the other; the message begins with `where`.
    """
    model_type, sizes = value["model_type"], value["config"]
    return find(model_type, kind, where).config(**sizes)


def initializer(model: Any) -> Callable[[jax.Array], Params]:
    """key → random fp32 parameters of a module."""
    architecture = of(model.config)
    ids = jnp.zeros((1, 8), jnp.int32)

    def init(key: jax.Array) -> Params:
        params = model.init(key, *[ids] * architecture.inputs)["params"]
        return architecture.initialize(params, model.config, key)

    return init
