"""Hugging Face folders in and out: T5 and BERT checkpoints, strictly, one tensor at a time.

Reading places each tensor straight onto its sharding, so that a model larger than a host's memory is
never whole on one. Every tensor of a checkpoint must be known and every parameter must be found, in its
shape: what differs is an error that names it. What is written, PyTorch's `from_pretrained` loads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from toner_jax.errors import UserError
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.hf import config as hf_config
from toner_jax.models.hf.config import t5_config
from toner_jax.models.hf.files import (
    CONFIG_FILE,
    NewTensor,
    StoredTensor,
    stored_tensors,
    write_json,
    write_tensors,
)
from toner_jax.models.hf.names import BERT_NAMES, T5_NAMES, Names
from toner_jax.models.t5.config import T5Config

__all__ = ["bert_config", "load_bert", "load_t5", "resolve", "save_bert", "save_t5", "t5_config"]

Params = dict[str, Any]

DOWNLOADED = ("*.json", "*.safetensors", "spiece.model", "vocab.txt")
MAX_SHARD_BYTES = 5_000_000_000
_DTYPES = ("F32", "BF16", "F16")
_COMPARED_ROWS = 4096


def resolve(checkpoint: str) -> Path:
    """The folder of a checkpoint: a local one, or a model of the Hugging Face hub, downloaded.

    Raises:
      UserError: there is no such folder, and no such model or no way to reach it.
    """
    folder = Path(checkpoint).expanduser()
    if checkpoint and folder.is_dir():
        return folder
    if folder.exists() or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", checkpoint):
        raise UserError(f"{checkpoint!r}: no such folder; pass one that holds {CONFIG_FILE} and safetensors")
    from huggingface_hub import snapshot_download

    try:
        # Exports to other formats sit in subfolders, which `*` of a pattern would match too.
        return Path(snapshot_download(checkpoint, allow_patterns=list(DOWNLOADED), ignore_patterns=["*/*"]))
    except (OSError, ValueError) as error:  # all of the hub's errors are one of these
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{checkpoint!r}: no such folder, and downloading it from the Hugging Face hub failed ({reason}); "
            f"pass a folder that holds {CONFIG_FILE} and safetensors"
        ) from error


def bert_config(folder: Path) -> BertConfig:
    """`hf_config.bert_config` of a folder, with a pooler if its tensors are there."""
    return hf_config.bert_config(folder, pooler="pooler.dense.weight" in _tensors(folder, BERT_NAMES))


def load_t5(folder: Path, shapes: Params, shardings: Params) -> Params:
    """The parameters of a T5, placed.

    Args:
      shapes: tree of `ShapeDtypeStruct`, that of T5 or of ToNER; `type_head` is left out of the result.
      shardings: the same tree of `NamedSharding`.

    Raises:
      UserError: the checkpoint's tensors are not exactly those of `shapes`; the message names one.
    """
    if hf_config.scales_outputs(folder):  # tied, and perhaps stored twice
        names = replace(T5_NAMES, copies={**T5_NAMES.copies, "lm_head.weight": "shared.weight"})
        tensors = _tensors(folder, names)
    else:
        tensors = _tensors(folder, T5_NAMES)
        if "shared.weight" in tensors:
            tensors.setdefault("lm_head.weight", tensors["shared.weight"])
    return _load(folder, tensors, T5_NAMES, shapes, shardings)


def load_bert(folder: Path, shapes: Params, shardings: Params) -> Params:
    """The parameters of a BERT, placed; arguments and errors as in `load_t5`."""
    return _load(folder, _tensors(folder, BERT_NAMES), BERT_NAMES, shapes, shardings)


def save_t5(
    folder: Path,
    params: Params,
    config: T5Config,
    dtype: Any = jnp.float32,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Writes a folder that `T5ForConditionalGeneration.from_pretrained` loads; `type_head` is left out.

    In a run of several processes all must call it; the first one writes.
    """
    if config.tie_embeddings == ("lm_head" in params):
        raise ValueError(f"tie_embeddings={config.tie_embeddings} is not what the parameters say")
    _save(folder, params, T5_NAMES, hf_config.t5_json(config), jnp.dtype(dtype), max_shard_bytes)
    if jax.process_index() == 0:
        write_json(folder / "generation_config.json", hf_config.t5_generation_json())


def save_bert(
    folder: Path,
    params: Params,
    config: BertConfig,
    dtype: Any = jnp.float32,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Writes a folder that `BertModel.from_pretrained` loads; processes as in `save_t5`.

    Where there is no pooler, zeros stand for it: `AutoModel` always makes one, which mean pooling never
    reads, and would warn of random weights.
    """
    if not config.pooler:
        width = config.hidden_size
        zeros = {"kernel": np.zeros((width, width), np.float32), "bias": np.zeros(width, np.float32)}
        params = {**params, "pooler": zeros}
    _save(folder, params, BERT_NAMES, hf_config.bert_json(config), jnp.dtype(dtype), max_shard_bytes)


def _tensors(folder: Path, names: Names) -> dict[str, StoredTensor]:
    """The tensors of a folder, each once and under its current name, without the unused ones."""
    tensors: dict[str, StoredTensor] = {}
    for stored, tensor in stored_tensors(folder).items():
        name = names.canonical(stored)
        if names.is_unused(name):
            continue
        if name in tensors:
            raise UserError(f"{tensor.file}: {stored} and {tensors[name].name} are two names of one tensor")
        tensors[name] = tensor
    for copy, name in names.copies.items():
        if copy in tensors:
            tensor = tensors.pop(copy)
            if not _equal(tensors.setdefault(name, tensor), tensor):
                raise UserError(
                    f"{tensor.file}: tensor {copy} differs from {name}, of which it must be a copy"
                )
    return tensors


def _load(
    folder: Path, tensors: dict[str, StoredTensor], names: Names, shapes: Params, shardings: Params
) -> Params:
    placements = flatten_dict(shardings, sep="/")
    wanted = {
        path: leaf for path, leaf in flatten_dict(shapes, sep="/").items() if not names.is_ours_alone(path)
    }
    sources = _match(folder, tensors, names, wanted)
    placed = {path: _place(*sources[path], leaf, placements[path]) for path, leaf in wanted.items()}
    return unflatten_dict(placed, sep="/")


def _match(
    folder: Path, tensors: Mapping[str, StoredTensor], names: Names, wanted: Mapping[str, Any]
) -> dict[str, tuple[StoredTensor, bool]]:
    """(tensor, transposed?) of each parameter; one to one, in the right shape."""
    sources, used = {}, set()
    for path, leaf in wanted.items():
        name, transpose = names.tensor(path)
        if name not in tensors:
            raise UserError(f"{folder}: tensor {name} is missing; it is the model's {path}")
        tensor, shape = tensors[name], tuple(leaf.shape)
        expected = shape[::-1] if transpose else shape
        if tensor.shape != expected:
            raise UserError(
                f"{tensor.file}: tensor {name} has shape {tensor.shape}, the model's is {expected}"
            )
        if tensor.dtype not in _DTYPES:
            raise UserError(
                f"{tensor.file}: tensor {name} is {tensor.dtype}, not one of {', '.join(_DTYPES)}"
            )
        sources[path] = (tensor, transpose)
        used.add(name)
    for name in sorted(tensors.keys() - used):
        raise UserError(f"{tensors[name].file}: tensor {name} has no place in the model")
    return sources


def _equal(a: StoredTensor, b: StoredTensor) -> bool:
    """Whether two tensors hold the same values; compared by blocks of rows."""
    if a.shape != b.shape:
        return False
    rows = a.shape[0]
    blocks = [slice(i, min(i + _COMPARED_ROWS, rows)) for i in range(0, rows, _COMPARED_ROWS)]
    with a.open() as one, b.open() as other:
        return all(np.array_equal(one[block], other[block]) for block in blocks)


def _place(
    tensor: StoredTensor, transpose: bool, leaf: jax.ShapeDtypeStruct, sharding: jax.sharding.Sharding
) -> jax.Array:
    """One tensor on its devices; each takes only its slice, and replicas share one."""
    slices: dict[str, np.ndarray] = {}
    with tensor.open() as view:

        def read(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None
            key = repr(index)
            if key not in slices:
                part = view[index[::-1]].T if transpose else view[index]
                slices[key] = np.ascontiguousarray(part, dtype=leaf.dtype)
            return slices[key]

        array = jax.make_array_from_callback(leaf.shape, sharding, read)
    # Waiting, or slices would pile up on a host whose disk is faster than its devices.
    return array.block_until_ready()


def _save(
    folder: Path, params: Params, names: Names, config: dict[str, Any], dtype: np.dtype, max_shard_bytes: int
) -> None:
    writes = jax.process_index() == 0
    if writes:
        folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder, list(_new_tensors(params, names)), dtype, max_shard_bytes, write=writes)
    if writes:
        write_json(folder / CONFIG_FILE, {**config, "dtype": dtype.name})


def _new_tensors(params: Params, names: Names) -> Iterator[NewTensor]:
    for path, array in flatten_dict(params, sep="/").items():
        if not names.is_ours_alone(path):
            name, transpose = names.tensor(path)
            yield NewTensor(name, array.size, partial(_host, array, transpose))


def _host(array: Any, transpose: bool) -> np.ndarray:
    """A whole parameter in host memory, gathered where other processes hold parts of it."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        from jax.experimental import multihost_utils

        array = multihost_utils.process_allgather(array, tiled=True)
    values = np.asarray(array)
    return values.T if transpose else values
