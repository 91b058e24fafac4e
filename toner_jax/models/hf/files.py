"""Folders of safetensors files, one file or several with an index, read and written tensor by tensor."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (gives NumPy the name `bfloat16`, which safetensors asks for)
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from toner_jax.common.files import remove, unfinished, write_atomically
from toner_jax.errors import UserError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
      UserError: there is no such file, or it holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; a model folder holds {CONFIG_FILE} and {WEIGHTS_FILE}"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a JSON file ({error})") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: a JSON object is wanted, not a {type(value).__name__}")
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_atomically(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor is, its shape and its dtype as safetensors spells it; its values stay on disk."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str

    @contextmanager
    def open(self) -> Iterator[Any]:
        """The tensor for slicing; slices are NumPy copies, bfloat16 among their dtypes.

        The file is opened anew for each tensor: the pages mapped for one are given back before the next,
        where one mapping for all would come to count as much memory as the file is long.
        """
        with _open(self.file) as file:
            yield file.get_slice(self.name)


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """The tensors of a folder by name; only headers are read.

    Raises:
      UserError: no safetensors there, a file is missing, truncated or at odds with the index.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return _header(folder / WEIGHTS_FILE)
    index = folder / INDEX_FILE
    if not index.is_file():
        raise UserError(
            f"{folder}: holds neither {WEIGHTS_FILE} nor {INDEX_FILE}; other formats are not read"
        )
    shard_of = read_json(index).get("weight_map")
    if not isinstance(shard_of, dict) or not all(isinstance(file, str) for file in shard_of.values()):
        raise UserError(f"{index}: has no weight_map from tensors to files")
    found: dict[str, StoredTensor] = {}
    for shard in sorted(set(shard_of.values())):
        if not (folder / shard).is_file():
            raise UserError(
                f"{folder / shard}: this shard, named in {INDEX_FILE}, is missing; download it again"
            )
        found |= _header(folder / shard)
    for name, shard in shard_of.items():
        if name not in found or found[name].file.name != shard:
            raise UserError(f"{folder / shard}: does not hold {name}, which {INDEX_FILE} places there")
    return found


def _header(path: Path) -> dict[str, StoredTensor]:
    tensors = {}
    with _open(path) as file:
        for name in file.keys():  # noqa: SIM118  (not a mapping)
            view = file.get_slice(name)
            tensors[name] = StoredTensor(path, name, tuple(view.get_shape()), view.get_dtype())
    return tensors


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    try:
        file = safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path}: truncated or not a safetensors file ({error}); download it again"
        ) from error
    with file:
        yield file


@dataclass(frozen=True)
class NewTensor:
    """A tensor to be written; `values` is called once, when its file's turn has come."""

    name: str
    size: int
    values: Callable[[], np.ndarray]


def write_tensors(
    folder: Path, tensors: Sequence[NewTensor], dtype: np.dtype, max_shard_bytes: int, write: bool = True
) -> None:
    """Writes tensors into one file, or several with an index; weight files of an earlier model go.

    Args:
      max_shard_bytes: the most a file holds, and so the host memory needed; a larger tensor stands alone.
      write: False has the values computed, in the same order, and nothing written: the part of all
        processes but the first where computing them is collective.
    """
    shards = _shards(tensors, dtype.itemsize, max_shard_bytes)
    count = len(shards)
    weight_map: dict[str, str] = {}
    for i, shard in enumerate(shards, start=1):
        file = WEIGHTS_FILE if count == 1 else f"model-{i:05d}-of-{count:05d}.safetensors"
        # Contiguous, for safetensors writes the memory as it lies, whatever the strides.
        values = {t.name: np.ascontiguousarray(t.values(), dtype=dtype) for t in shard}
        if write:
            save_tensors(folder / file, values)
        weight_map |= dict.fromkeys(values, file)
    if not write:
        return
    keep = set(weight_map.values())
    if count > 1:
        total = sum(t.size for t in tensors) * dtype.itemsize
        write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})
        keep.add(INDEX_FILE)
    for pattern in (WEIGHTS_FILE, INDEX_FILE, "model-*-of-*.safetensors"):
        for path in folder.glob(pattern):
            if path.name not in keep:
                path.unlink()


def save_tensors(path: Path, values: Mapping[str, np.ndarray]) -> None:
    """Writes a file whole or not at all; raises an OSError that names it, where safetensors has an error of its own."""
    partial = unfinished(path, "tmp")
    try:
        partial.touch()  # with the modes of any new file: those of safetensors are its owner's alone
        modes = partial.stat().st_mode
        save_file(dict(values), partial, metadata={"format": "pt"})
        partial.chmod(modes)
        os.replace(partial, path)
    except SafetensorError as error:
        number = int(found[1]) if (found := re.search(r"os error (\d+)", str(error))) else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
    finally:
        remove(partial)


def _shards(tensors: Sequence[NewTensor], item_bytes: int, max_bytes: int) -> list[list[NewTensor]]:
    """Consecutive tensors, in as few runs of at most `max_bytes` as their order allows."""
    shards: list[list[NewTensor]] = []
    room = 0
    for tensor in tensors:
        size = tensor.size * item_bytes
        if not shards or size > room:
            shards.append([])
            room = max_bytes
        shards[-1].append(tensor)
        room -= size
    return shards
