"""Weights to start from: Hugging Face folders, and Orbax checkpoints made of them.

A folder that `write_orbax` made holds `model.json` (the architecture), the tokenizer's files and
`checkpoints/0`, checksums included. Processes read only what their devices hold, in parallel, where a
safetensors file is read tensor by tensor; that, and storage that has no memory mapping, is what it is for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from toner_jax.common.files import copy_file, write_atomically
from toner_jax.errors import UserError
from toner_jax.models import registry
from toner_jax.models.architecture import Kind
from toner_jax.models.hf import weights as hf_weights
from toner_jax.models.hf.hub import resolve
from toner_jax.models.hf.layout import Layout
from toner_jax.parallel.sharding import parameter_shardings
from toner_jax.text.tokenizer_files import COMMON_FILES

if TYPE_CHECKING:
    from toner_jax.training.checkpoint import Checkpoints

MODEL = "model.json"  # {"model_type", "config"}


def read_config(checkpoint: str, kind: Kind) -> Any:
    """The config of a model to start from: a folder of either layout, or a hub id.

    Raises:
      UserError: it is none, or is of another kind.
    """
    folder = resolve(checkpoint)
    path = folder / MODEL
    if not path.is_file():
        return registry.read_config(folder, kind)
    try:
        return registry.config_from_json(json.loads(path.read_text(encoding="utf-8")), kind, path)
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error!r}); convert the checkpoint again") from error


def loader(checkpoint: str, layout: Layout) -> Callable[[Any, Any], Any] | None:
    """(shapes, shardings) → a checkpoint's parameters; None for a run from random weights.

    Parameters that no checkpoint has (the type head) are left out.
    """
    if not checkpoint:
        return None
    folder = resolve(checkpoint)
    load = _load_orbax if (folder / MODEL).is_file() else hf_weights.load
    return lambda shapes, shardings: load(folder, layout, shapes, shardings)


def check_weights(checkpoint: str, layout: Layout, shapes: Any) -> None:
    """Makes sure that `loader` will find a model's parameters, without reading their values.

    Raises:
      UserError: they are missing, damaged, or have other shapes.
    """
    folder = resolve(checkpoint)
    if (folder / MODEL).is_file():
        with _checkpoints(folder, read_only=True) as checkpoints:
            checkpoints.check_params(0, _stored(layout, shapes))
    else:
        hf_weights.check(folder, layout, shapes)


def read_hugging_face(folder: Path, mesh: Mesh, dtype: Any = jnp.float32) -> tuple[Any, Any]:
    """(config, parameters) of a Hugging Face folder, in `dtype`, sharded over the mesh.

    Raises:
      UserError: another model_type than ours, or tensors that are not exactly the model's.
    """
    config = registry.read_config(folder)
    architecture = registry.of(config)
    shapes = jax.eval_shape(registry.initializer(architecture.module(config)), jax.random.key(0))
    shapes = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, dtype), shapes)
    shardings = parameter_shardings(shapes, mesh, architecture.sharding)
    return config, hf_weights.load(folder, architecture.hf, shapes, shardings)


def write_orbax(folder: Path, config: Any, params: Any, tokenizer: Path) -> None:
    """Writes what `loader` and `read_config` read; `tokenizer` is where the tokenizer's files are, as far as
    there are any."""
    folder.mkdir(parents=True, exist_ok=True)
    with _checkpoints(folder) as checkpoints:
        checkpoints.save(0, {"params": params}, {"step": 0})
        checkpoints.wait()
    copy_tokenizer(tokenizer, folder, registry.of(config).tokenizer.file)
    write_atomically(folder / MODEL, json.dumps(registry.config_to_json(config), indent=2) + "\n")


def copy_tokenizer(source: Path, target: Path, file: str) -> None:
    """Copies a tokenizer's `file` and all others that it may have; those of an earlier tokenizer go."""
    if source == target:
        return
    for name in (file, *COMMON_FILES):
        if (source / name).is_file():
            copy_file(source / name, target / name)
        else:
            (target / name).unlink(missing_ok=True)


def _load_orbax(folder: Path, layout: Layout, shapes: Any, shardings: Any) -> Any:
    """The parameters at step 0, each placed as its sharding says.

    Raises:
      UserError: the checkpoint is missing, damaged, or has other shapes.
    """
    targets = jax.tree.map(
        lambda shape, sharding: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding),
        _stored(layout, shapes),
        _stored(layout, shardings),
    )
    with _checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.restore_params(0, targets)


def _stored(layout: Layout, tree: Any) -> dict[str, Any]:
    """The part of a tree of parameters that checkpoints hold."""
    return {name: part for name, part in tree.items() if not layout.names.is_ours_alone(name)}


def _checkpoints(folder: Path, *, read_only: bool = False) -> Checkpoints:
    # Of Orbax, which a model that was saved does without: its import takes a while.
    from toner_jax.training.checkpoint import Checkpoints

    return Checkpoints(folder / "checkpoints", keep=1, read_only=read_only)
