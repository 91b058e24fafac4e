"""The weights of Hugging Face folders, in and out: strictly, and one tensor at a time.

Reading places each tensor straight onto its sharding, so that a model larger than a host's memory is
never whole on one. Every tensor of a checkpoint must be known and every parameter must be found, in its
shape: what differs is an error that names it. What is written, PyTorch's `from_pretrained` loads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from toner_jax.errors import UserError
from toner_jax.models.hf.files import CONFIG_FILE, NewTensor, StoredTensor, write_json, write_tensors
from toner_jax.models.hf.layout import Layout
from toner_jax.models.hf.names import Names
from toner_jax.parallel.exchange import on_host
from toner_jax.parallel.processes import is_first

Params = dict[str, Any]

MAX_SHARD_BYTES = 5_000_000_000
_DTYPES = ("F32", "BF16", "F16")


def load(folder: Path, layout: Layout, shapes: Params, shardings: Params) -> Params:
    """A model's parameters, placed.

    Args:
      shapes: tree of `ShapeDtypeStruct`; what no checkpoint holds (the type head) is left out of the result.
      shardings: the same tree of `NamedSharding`.

    Raises:
      UserError: the folder's tensors are not exactly those of `shapes`; the message names one.
    """
    placements = flatten_dict(shardings, sep="/")
    placed = {
        path: _place(*source, leaf, placements[path])
        for path, leaf, source in _sources(folder, layout, shapes)
    }
    params: Params = unflatten_dict(placed, sep="/")
    return params


def check(folder: Path, layout: Layout, shapes: Params) -> None:
    """Makes sure that `load` will find each tensor; headers alone are read, and tensors that must be equal.

    Raises:
      UserError: as `load`.
    """
    _sources(folder, layout, shapes)


def _sources(
    folder: Path, layout: Layout, shapes: Params
) -> list[tuple[str, jax.ShapeDtypeStruct, tuple[StoredTensor, bool]]]:
    """(path, leaf, (tensor, transposed?)) of each parameter that a checkpoint holds."""
    tensors = layout.read_tensors(folder, layout.names)
    flat = flatten_dict(shapes, sep="/").items()
    wanted = {path: leaf for path, leaf in flat if not layout.names.is_ours_alone(path)}
    sources = _match(folder, tensors, layout.names, wanted)
    return [(path, leaf, sources[path]) for path, leaf in wanted.items()]


def save(
    folder: Path,
    layout: Layout,
    params: Params,
    config: Any,
    dtype: Any = jnp.float32,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Writes a folder that `from_pretrained` loads; what no checkpoint holds (the type head) is left out.

    In a run of several processes all must call it; the first one writes.

    Raises:
      ValueError: parameters without a name in the layout, or that are not the config's.
    """
    dtype, writes = jnp.dtype(dtype), is_first()
    tensors = list(_new_tensors(layout.stored(params, config), layout.names))
    if writes:
        folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder, tensors, dtype, max_shard_bytes, write=writes)
    if writes:
        write_json(folder / CONFIG_FILE, {**layout.config_json(config), "dtype": dtype.name})
        for name, value in layout.other_files.items():
            write_json(folder / name, value)


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


def _place(
    tensor: StoredTensor, transpose: bool, leaf: jax.ShapeDtypeStruct, sharding: jax.sharding.Sharding
) -> jax.Array:
    """One tensor on its devices; each takes only its slice, and replicas share one."""
    slices: dict[str, np.ndarray] = {}
    with tensor.open() as view:

        def read(index: tuple[slice, ...] | None) -> np.ndarray:
            if index is None:
                raise TypeError("every device holds a slice of an array that is sharded")
            key = repr(index)
            if key not in slices:
                part = view[index[::-1]].T if transpose else view[index]
                slices[key] = np.ascontiguousarray(part, dtype=leaf.dtype)
            return slices[key]

        array = jax.make_array_from_callback(leaf.shape, sharding, read)
    # Waiting, or slices would pile up on a host whose disk is faster than its devices.
    array.block_until_ready()
    return array


def host_tensors(params: Params, config: Any, layout: Layout) -> Iterator[tuple[str, np.ndarray]]:
    """What `save` would write, one (name, values) at a time, for a model of PyTorch's in the same process.

    Raises:
      ValueError: as `save`.
    """
    for tensor in _new_tensors(layout.stored(params, config), layout.names):
        yield tensor.name, tensor.values()


def _new_tensors(params: Params, names: Names) -> Iterator[NewTensor]:
    for path, array in flatten_dict(params, sep="/").items():
        if not names.is_ours_alone(path):
            name, transpose = names.tensor(path)
            yield NewTensor(name, array.size, partial(_host, array, transpose))


def _host(array: Any, transpose: bool) -> np.ndarray:
    """A whole parameter in host memory, gathered where other processes hold parts of it."""
    values: np.ndarray = on_host(array)
    return values.T if transpose else values
