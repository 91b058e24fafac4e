"""How the Hugging Face folders of one architecture look, as data and a few functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toner_jax.models.hf.config import ConfigFile
from toner_jax.models.hf.files import StoredTensor
from toner_jax.models.hf.names import Names, named_tensors


def as_they_are(params: dict[str, Any], config: Any) -> dict[str, Any]:
    """All parameters, and no others."""
    return params


@dataclass(frozen=True)
class Layout:
    """How an architecture is read and written.

    Attributes:
      names: its tensors' names.
      read_config: config.json → its config; raises a UserError for a variant that we do not compute.
      config_json: config → what `from_pretrained` reads, `model_type` included.
      read_tensors: (folder, names) → the tensors by name, where a folder may leave out or repeat some.
      stored: (params, config) → the parameters that a folder holds; a ValueError where the two disagree.
      other_files: JSON files that are always the same.
    """

    names: Names
    read_config: Callable[[ConfigFile], Any]
    config_json: Callable[[Any], dict[str, Any]]
    read_tensors: Callable[[Path, Names], dict[str, StoredTensor]] = named_tensors
    stored: Callable[[dict[str, Any], Any], dict[str, Any]] = as_they_are
    other_files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
