"""Trained models back from a work directory, or from a folder in Hugging Face's layout."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax.common.console import warn
from toner_jax.common.files import write_atomically
from toner_jax.config import DEV, copied
from toner_jax.errors import UserError
from toner_jax.models import registry
from toner_jax.models.architecture import Kind
from toner_jax.models.encoder import Encoder
from toner_jax.models.hf import weights as hf_weights
from toner_jax.models.toner import ToNER
from toner_jax.parallel.runtime import compute_dtype
from toner_jax.runs import chain, config_files, parts, setup
from toner_jax.runs.evaluate import FOLDER as EVALUATE
from toner_jax.runs.evaluate import type_threshold
from toner_jax.runs.export import pretrained
from toner_jax.runs.export.model_card import CARD, model_card
from toner_jax.runs.export.sentence_transformers import write_modules
from toner_jax.runs.generator import FOLDER as GENERATOR
from toner_jax.runs.marker import MARKER, read_marker
from toner_jax.runs.matcher import FOLDER as MATCHER
from toner_jax.runs.placement import serving_mesh
from toner_jax.schema import Schema
from toner_jax.text.tokenizer_files import SETTINGS

PRETRAINED = "toner.json"  # marks a folder of `save_pretrained`


@dataclass(frozen=True)
class Restored:
    """Both trained models and what they were trained with; `matcher` is None without type matching.

    `step` is the generator's, `tasks` names what it was trained on (`toner_jax.tasks.registry`);
    `tokenizers` is a folder with `generator/` and `matcher/`, which hold the tokenizer files;
    `calibration_temperature` is `decode.calibration_temperature`, or what was fitted for it; `type_threshold` is δ;
    `mesh` is where the parameters are; `mixed` tells of stages that do not belong together (`chain.Trained`).
    """

    config: ConfigDict
    schema: Schema
    tokenizers: Path
    generator: ToNER
    generator_params: Any
    step: int
    tasks: tuple[str, ...]
    calibration_temperature: float
    matcher: Encoder | None = None
    matcher_params: Any = None
    type_threshold: float = 0.0
    mesh: Mesh = field(kw_only=True)
    mixed: tuple[str, ...] = ()


def restore(
    folder: Path,
    mesh: Mesh | None = None,
    config: ConfigDict | None = None,
    step: int | None = None,
    accept_mixed: bool = False,
) -> Restored:
    """Reads a work directory or a folder of `save_pretrained`.

    Args:
      mesh: where parameters are to be; None for the mesh of the configuration, or, where the devices here are others
        than it was made for, one of rows alone.
      config: another configuration than the folder's own.
      step: the generator's step, of a work directory; None for the one chosen on dev.
      accept_mixed: stages of a work directory that do not belong together are a warning.

    Raises:
      UserError: the folder is neither, is damaged, or one of its stages is not complete.
    """
    if (folder / PRETRAINED).is_file():
        if step is not None:
            raise UserError(f"{folder}: holds a single set of weights, so no step can be chosen")
        return _from_pretrained(folder, mesh, config)
    return _from_workdir(folder, mesh, config or read_work_config(folder), step, accept_mixed)


def read_work_config(workdir: Path) -> ConfigDict:
    """The configuration of a work directory.

    Raises:
      UserError: it is none.
    """
    if not (workdir / config_files.CONFIG).is_file():
        what = "no config.json" if workdir.is_dir() else "no such folder"
        raise UserError(
            f"{workdir}: {what}; a model is the work directory of a run, or a folder of save_pretrained"
        )
    return config_files.load(workdir / config_files.CONFIG)


def read_model_config(folder: Path) -> ConfigDict:
    """The configuration of a work directory or a folder of `save_pretrained`.

    Raises:
      UserError: it is neither, or its file is damaged.
    """
    file = folder / PRETRAINED
    if not file.is_file():
        return read_work_config(folder)
    with _undamaged(file):
        return config_files.from_json(config_files.read_versioned(file)["config"], str(file))


@contextmanager
def _undamaged(file: Path) -> Iterator[None]:
    """Errors of reading a `PRETRAINED` file are of its user's, and name it."""
    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: damaged ({error!r})") from error


def with_light_tokenizers(config: ConfigDict) -> ConfigDict:
    """A configuration whose tokenizers are there at once, where any will do: TensorFlow's import takes seconds, and the
    ids are the same."""
    config = copied(config)
    if config.tokenizer.backend == "auto":
        config.tokenizer.backend = "hf"
    return config


def _calibration_temperature(config: ConfigDict, workdir: Path) -> float:
    """That of the configuration, or the one that the evaluate stage has fitted."""
    if config.decode.calibration_temperature != DEV:
        return float(config.decode.calibration_temperature)
    marker = read_marker(workdir / EVALUATE / MARKER)
    fitted = marker.result.get("fitted") if marker and marker.complete else None
    if marker and fitted and parts.changed(workdir, marker.made_from):
        fitted = None  # of other weights
    if fitted is None:
        warn(
            f"decode.calibration_temperature={DEV}: no evaluate stage with this setting is complete, so the scores "
            "are unscaled"
        )
        return 1.0
    return float(fitted["calibration_temperature"])


def _from_workdir(
    workdir: Path, mesh: Mesh | None, config: ConfigDict, step: int | None, accept_mixed: bool
) -> Restored:
    mesh = mesh or serving_mesh(config)

    def params(stage: str, at: int, model: Any) -> Any:
        return setup.restore_params(workdir / stage, at, model, mesh, config.sharding)

    trained, mixed = chain.trained(
        workdir, matcher=config.matcher.enabled, unfinished=step is not None, accept_mixed=accept_mixed
    )
    schema = setup.read_work_schema(workdir)
    generator = setup.build_generator(config, workdir, schema, mesh)
    result = trained[GENERATOR].result
    step = result["step"] if step is None else step
    # A stage that is not complete has recorded no tasks yet.
    tasks = tuple(result["tasks"] if result else setup.training_tasks(read_work_config(workdir)))
    restored: dict[str, Any] = {"mixed": mixed}
    if config.matcher.enabled:
        matcher = setup.build_matcher(config, workdir, mesh)
        restored |= {
            "matcher": matcher,
            "matcher_params": params(MATCHER, trained[MATCHER].result["step"], matcher),
            "type_threshold": type_threshold(config, workdir),
        }
    return Restored(
        config,
        schema,
        workdir / setup.TOKENIZERS,
        generator,
        params(GENERATOR, step, generator),
        step,
        tasks,
        _calibration_temperature(config, workdir),
        mesh=mesh,
        **restored,
    )


def _from_pretrained(folder: Path, mesh: Mesh | None, config: ConfigDict | None) -> Restored:
    file = folder / PRETRAINED
    with _undamaged(file):
        saved = config_files.read_versioned(file)
        schema = Schema.from_json(saved["schema"], str(file))
        config = config or config_files.from_json(saved["config"], str(file))
        step, tasks, own = int(saved["step"]), tuple(saved["tasks"]), config.decode.type_threshold
        delta = float(saved["type_threshold"] if own == "" else own)
        wanted = config.decode.calibration_temperature
        calibration_temperature = float(saved["calibration_temperature"] if wanted == DEV else wanted)

    mesh = mesh or serving_mesh(config)

    def model(kind: Kind, **heads: int) -> tuple[Any, Any]:
        return _pretrained_model(folder / kind, kind, mesh, config, heads)

    generator, weights = model("generator", num_types=len(schema.types))
    restored: dict[str, Any] = {}
    if config.matcher.enabled:
        matcher, matcher_weights = model("matcher")
        restored = {"matcher": matcher, "matcher_params": matcher_weights, "type_threshold": delta}
    return Restored(
        config,
        schema,
        folder,
        generator,
        weights,
        step,
        tasks,
        calibration_temperature,
        mesh=mesh,
        **restored,
    )


def _pretrained_model(
    folder: Path, kind: Kind, mesh: Mesh, config: ConfigDict, heads: Mapping[str, int]
) -> tuple[Any, Any]:
    """(module, parameters) of a Hugging Face folder."""
    architecture = registry.of(sizes := registry.read_config(folder, kind))
    model = architecture.module(sizes, compute_dtype(config.dtype, mesh), **heads)
    shapes = jax.eval_shape(registry.initializer(model), jax.random.key(0))
    targets = setup.parameter_targets(shapes, mesh, config.sharding, architecture.sharding)
    shardings = jax.tree.map(lambda t: t.sharding, targets)
    return model, hf_weights.load(folder, architecture.hf, shapes, shardings)


def save_pretrained(restored: Restored, folder: Path, dtype: Any = jnp.float32, name: str = "") -> None:
    """Writes both models as Hugging Face folders, `generator/` and `matcher/`, with their tokenizers, `toner.json` with
    the rest, and a model card. The type head serves training alone and is left out.

    Args:
      name: of the model, in its card; "" for the folder's.
    """
    if (folder / config_files.CONFIG).exists() and not (folder / PRETRAINED).exists():
        raise UserError(f"{folder}: the work directory of a run; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    r = restored
    _save_model(folder / GENERATOR, r.generator, r.generator_params, r.tokenizers / GENERATOR, dtype)
    if r.matcher is not None:
        _save_model(folder / MATCHER, r.matcher, r.matcher_params, r.tokenizers / MATCHER, dtype)
        write_modules(folder / MATCHER, r.matcher.config.hidden_size, r.matcher.max_length)
    saved = {
        config_files.FORMAT_KEY: config_files.FORMAT_VERSION,
        "step": restored.step,
        "tasks": restored.tasks,
        "type_threshold": restored.type_threshold,
        "calibration_temperature": restored.calibration_temperature,
        "schema": restored.schema.to_json(),
        "config": restored.config.to_dict(),
    }
    write_atomically(folder / PRETRAINED, json.dumps(saved, indent=2) + "\n")
    write_atomically(folder / CARD, _card(restored, name or folder.name, jnp.dtype(dtype).name))


def _card(restored: Restored, name: str, dtype: str) -> str:
    """A run's card, or the one that lies beside a model that was saved."""
    r, beside = restored, restored.tokenizers / CARD
    if (r.tokenizers / PRETRAINED).is_file() and beside.is_file():
        return beside.read_text(encoding="utf-8")
    workdir = r.tokenizers.parent
    is_run = (workdir / config_files.CONFIG).is_file()
    return model_card(name, r.config, r.schema, workdir if is_run else None, dtype)


def _save_model(folder: Path, model: Any, params: Any, tokenizer: Path, dtype: Any) -> None:
    """Writes a Hugging Face folder."""
    hf_weights.save(folder, registry.of(model.config).hf, params, model.config, dtype)
    save_tokenizer(folder, model.config, tokenizer)


def save_tokenizer(folder: Path, config: Any, tokenizer: Path) -> None:
    """Copies a model's tokenizer from one folder to another, for `AutoTokenizer`: one that we trained has no settings
    of its own."""
    architecture = registry.of(config)
    pretrained.copy_tokenizer(tokenizer, folder, architecture.tokenizer.file)
    settings = folder / SETTINGS
    if not settings.is_file():
        text = json.dumps(architecture.tokenizer_settings(config), indent=2)
        write_atomically(settings, text + "\n")
