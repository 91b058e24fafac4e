"""Trained models into Hugging Face folders, and Hugging Face folders into Orbax checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
from jax.sharding import Mesh

from toner_jax.common.files import describe_failure, expanded, is_full, remove, remove_leftovers, unfinished
from toner_jax.errors import ParameterError, UserError
from toner_jax.models import registry
from toner_jax.models.hf.hub import resolve
from toner_jax.parallel.mesh import all_devices, make_mesh
from toner_jax.runs import setup
from toner_jax.runs.export import ctranslate2, hub, pretrained, stablehlo
from toner_jax.runs.named import DEMONSTRATION, demonstration
from toner_jax.runs.restore import PRETRAINED, restore, save_pretrained

HUGGING_FACE, CTRANSLATE2, STABLEHLO = "huggingface", "ctranslate2", "stablehlo"  # what a run becomes


def convert(
    source: str, target: Path, step: int | None = None, dtype: str = "float32", form: str = HUGGING_FACE
) -> str:
    """Exports a run, or imports a Hugging Face model; which of the two, `source` says.

    Args:
      source: a run's work directory (or a folder of `save_pretrained`), exported as `generator/` and
        `matcher/` in Hugging Face's layout; else a Hugging Face folder or hub id, imported as an Orbax
        checkpoint for `generator.checkpoint` or `matcher.checkpoint`.
      target: a folder that does not exist or is empty; complete or, after an error, as it was.
      step: the generator's step, of a work directory; None for the one chosen on dev.
      dtype: of the weights written, "float32" or "bfloat16".
      form: of a run, `HUGGING_FACE`; `CTRANSLATE2`: the generator alone, as that library reads it, in fp32; or
        `STABLEHLO`: both models as programs that JAX alone can run, which compute in `dtype`.

    Returns:
      What was done, for people.

    Raises:
      UserError: a source that is none of these, or is damaged, or a target that is in use.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target}: not an empty folder; choose another target")
    source = _found(source)
    folder = expanded(source)
    # Of two words, the first may be a user of the hub, and is no folder then.
    if not folder.exists() and "/" in source and folder.parent.is_dir():
        raise UserError(
            f"{source}: no such folder; give a run's work directory, a folder of save_pretrained, or a model of "
            "Hugging Face"
        )
    if is_run(Path(source)):
        return _export(Path(source), target, step, dtype, form)
    if form != HUGGING_FACE:
        raise _no_run(source)
    if step is not None:
        raise ParameterError("step", step, f"{source} is not a run's work directory, so it has no steps")
    return _import(source, target, dtype)


def push(
    source: str, repo_id: str, step: int | None = None, dtype: str = "float32", *, private: bool = False
) -> str:
    """Uploads a run's models to the Hugging Face hub.

    Args:
      source, step, dtype: as for `convert`, of a run.
      repo_id, private: as `hub.push` has them.

    Returns:
      What was done, for people.

    Raises:
      UserError: the source is no run, or is damaged; or as `hub.push`.
    """
    source = _found(source)
    hub.check_id(repo_id)
    if not is_run(Path(source)):
        raise _no_run(source)
    restored = restore(Path(source), _mesh(), step=step)

    def save(folder: Path) -> None:
        save_pretrained(restored, folder, jnp.dtype(dtype), name=repo_id)

    return f"{repo_id}: {hub.push(save, repo_id, private=private)}"


def _mesh() -> Mesh:
    """Of all devices, for weights alone: an export runs next to nothing."""
    return make_mesh(1, len(all_devices()))


def _found(source: str) -> str:
    """A source by its name, or the demonstration's folder."""
    return str(demonstration()) if source == DEMONSTRATION and not Path(source).exists() else source


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's work directory, or one of `save_pretrained`."""
    return (folder / setup.MODELS).is_file() or (folder / PRETRAINED).is_file()


def _no_run(source: str) -> UserError:
    return UserError(f"{source}: neither a run's work directory nor a folder of save_pretrained")


def _export(workdir: Path, target: Path, step: int | None, dtype: str, form: str) -> str:
    restored = restore(workdir, _mesh(), step=step)
    if form == CTRANSLATE2:
        _write(target, lambda folder: ctranslate2.save(folder, restored))
        return f"{target}: generator of {workdir}, step {restored.step}, for CTranslate2"
    if form == STABLEHLO:
        _write(target, lambda folder: stablehlo.save(folder, restored, jnp.dtype(dtype)))
    else:
        _write(target, lambda folder: save_pretrained(restored, folder, jnp.dtype(dtype), target.name))
    models = "generator" if restored.matcher is None else "generator and matcher"
    return f"{target}: {models} of {workdir}, generator step {restored.step}, {dtype}"


def _import(source: str, target: Path, dtype: str) -> str:
    folder = resolve(source)
    mesh = _mesh()
    config, params = pretrained.read_hugging_face(folder, mesh, jnp.dtype(dtype))
    _write(target, lambda to: pretrained.write_orbax(to, config, params, folder))
    key = f"{registry.of(config).kind}.checkpoint"
    return f"{target}: {config.model_type} of {source}, {dtype}; start from it with {key}={target}"


def _write(target: Path, write: Callable[[Path], None]) -> None:
    """Has a folder written beside the target and put in its place when it is complete."""
    partial = unfinished(target, "partial")
    try:
        remove_leftovers(target, "partial")
        remove(partial)  # of another process that had this number
        partial.mkdir(parents=True)
        write(partial)
        if target.is_dir():
            target.rmdir()  # empty; Windows replaces no folder
        os.replace(partial, target)
    except OSError as error:
        if is_full(error):
            raise UserError(describe_failure(error, target)) from error
        raise UserError(
            f"{target}: cannot be written ({error.strerror or error}); choose another target"
        ) from error
    finally:
        remove(partial)
