"""Weights to start from: Hugging Face folders, and Orbax checkpoints made of them.

A folder that `write_orbax` made holds `model.json` (the architecture), the tokenizer's files and
`checkpoints/0`, checksums included. Processes read only what their devices hold, in parallel, where a
safetensors file is read tensor by tensor; that, and storage that has no memory mapping, is what it is for.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from toner_jax.common.files import write_atomically
from toner_jax.errors import UserError
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert
from toner_jax.models.hf import config as hf_config
from toner_jax.models.hf import weights as hf_weights
from toner_jax.models.hf.names import T5_NAMES
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.model import T5
from toner_jax.parallel.sharding import parameter_shardings
from toner_jax.text.tokenizers import SENTENCEPIECE_FILE, WORDPIECE_FILE
from toner_jax.training.checkpoint import Checkpoints

MODEL = "model.json"
TOKENIZER_FILES = (SENTENCEPIECE_FILE, WORDPIECE_FILE, "tokenizer_config.json")

Load = Callable[[Path, Any, Any], Any]


@dataclass(frozen=True)
class _Kind:
    """How one architecture is read from Hugging Face's layout; `inputs` is how many arrays it takes."""

    config: Callable[..., Any]
    read_config: Callable[[Path], Any]
    load: Load
    module: Callable[[Any], Any]
    inputs: int


_KINDS = {
    "t5": _Kind(T5Config, hf_weights.t5_config, hf_weights.load_t5, T5, 3),
    "bert": _Kind(BertConfig, hf_weights.bert_config, hf_weights.load_bert, Bert, 2),
}


def t5_config(checkpoint: str) -> T5Config:
    """The architecture of a T5 to start from: a folder of either layout, or a hub id.

    Raises:
      UserError: it is none, or is of another architecture.
    """
    return _read_config(checkpoint, "t5")


def bert_config(checkpoint: str) -> BertConfig:
    """The same of a BERT."""
    return _read_config(checkpoint, "bert")


def loader(checkpoint: str, load: Load) -> Callable[[Any, Any], Any] | None:
    """(shapes, shardings) → a checkpoint's parameters; None for a run from random weights.

    `load` reads Hugging Face's layout. Parameters that no checkpoint has (the type head) are left out.
    """
    if not checkpoint:
        return None
    folder = hf_weights.resolve(checkpoint)
    read = _load_orbax if (folder / MODEL).is_file() else load
    return lambda shapes, shardings: read(folder, shapes, shardings)


def read_hugging_face(folder: Path, mesh: Mesh, dtype: Any = jnp.float32) -> tuple[str, Any, Any]:
    """(kind, architecture, parameters) of a Hugging Face folder, in `dtype`, sharded over the mesh.

    Raises:
      UserError: another model type than T5 and BERT, or tensors that are not exactly the model's.
    """
    name = hf_config.architecture(folder)
    kind = _KINDS[name]
    config = kind.read_config(folder)
    ids = jnp.zeros((1, 2), jnp.int32)
    init = kind.module(config).init
    shapes = jax.eval_shape(init, jax.random.key(0), *[ids] * kind.inputs)["params"]
    shapes = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, dtype), shapes)
    return name, config, kind.load(folder, shapes, parameter_shardings(shapes, mesh))


def write_orbax(folder: Path, kind: str, config: Any, params: Any, tokenizer: Path) -> None:
    """Writes what `loader` and the two `config` functions read; `tokenizer` is where the tokenizer's files
    are, as far as there are any."""
    folder.mkdir(parents=True, exist_ok=True)
    with Checkpoints(folder / "checkpoints", keep=1) as checkpoints:
        checkpoints.save(0, {"params": params}, {"step": 0})
        checkpoints.wait()
    copy_tokenizer(tokenizer, folder)
    write_atomically(folder / MODEL, json.dumps({"type": kind, "config": asdict(config)}, indent=2) + "\n")


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copies the tokenizer files that a folder holds."""
    for file in TOKENIZER_FILES:
        if (source / file).is_file() and source != target:
            shutil.copy(source / file, target / file)


def _read_config(checkpoint: str, wanted: str) -> Any:
    folder = hf_weights.resolve(checkpoint)
    path = folder / MODEL
    if not path.is_file():
        return _KINDS[wanted].read_config(folder)
    try:
        model = json.loads(path.read_text(encoding="utf-8"))
        found, config = model["type"], model["config"]
        if found == wanted:
            return _KINDS[wanted].config(**config)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error!r}); convert the checkpoint again") from error
    raise UserError(f"{path}: holds a {found} model where a {wanted} model is wanted")


def _load_orbax(folder: Path, shapes: Any, shardings: Any) -> Any:
    """The parameters at step 0, each placed as its sharding says.

    Raises:
      UserError: the checkpoint is missing, damaged, or has other shapes.
    """
    targets = jax.tree.map(
        lambda shape, sharding: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding),
        {name: tree for name, tree in shapes.items() if not T5_NAMES.is_ours_alone(name)},
        {name: tree for name, tree in shardings.items() if not T5_NAMES.is_ours_alone(name)},
    )
    with Checkpoints(folder / "checkpoints", read_only=True) as checkpoints:
        return checkpoints.restore_params(0, targets)
