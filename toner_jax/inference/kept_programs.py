"""Programs as they were traced, kept in the user's cache: a process that finds one there neither traces nor lowers it.

JAX's own cache knows what it has compiled by the lowered program, so that each process has to trace and lower it first,
which takes a small model longer than all else before a first entity. Here a program is known by what it is made of: its
functions and options, described value by value, the code of this package, the libraries, JAX's settings, and the shapes
of what it is given. What cannot be described so is traced each time.
"""

from __future__ import annotations

import enum
import pickle
import sys
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache as memoised
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export
from jax.sharding import Mesh

from toner_jax.common import cache
from toner_jax.common.versions import installed
from toner_jax.parallel.mesh import on_cpu
from toner_jax.parallel.processes import several

KIND = "programs"  # of entries in the user's cache

_STARTED = time.time()

_OURS = __name__.partition(".")[0]
# Whose code is told by a version, or by the digest of the package's.
_KNOWN_CODE = (_OURS, "builtins", "flax", "functools", "jax", "jaxlib", "ml_dtypes", "numpy")
_LIBRARIES = ("flax", "jax", "jaxlib", "ml_dtypes", "numpy")
# JAX's settings that may be others for a while.
_FOR_A_WHILE = (
    "jax_debug_infs",
    "jax_debug_nans",
    "jax_default_matmul_precision",
    "jax_enable_x64",
    "jax_numpy_dtype_promotion",
)
_NO_MATTER = ("jax_compilation_cache", "jax_log", "jax_persistent_cache")  # how the names of settings begin


class KeptPrograms:
    """A function's programs, one for each shape of what it is given. Threads share them, and wait for each other while
    one is made.

    They are kept for one device that is a CPU, where tracing is what a user waits for, and if JAX is to cache what it
    compiles.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        mesh: Mesh,
        static: tuple[str, ...] = (),
        compiler_options: dict[str, Any] | None = None,
    ):
        """Args:
        function: what is compiled, of arrays by position and `static`, keywords that are hashable.
        mesh: of the devices that run it.
        """
        self._function, self._compiler_options = function, compiler_options
        self._jitted = jax.jit(function, static_argnames=static, compiler_options=compiler_options)
        self._kept = mesh.size == 1 and on_cpu(mesh) and not several()
        self._made: dict[Hashable, Callable[..., Any]] = {}
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def __call__(self, *arrays: Any, **static: Any) -> Any:
        """What the function returns, of device arrays."""
        settings = jax.config.values
        if not self._kept or not settings["jax_enable_compilation_cache"] or settings["jax_disable_jit"]:
            return self._jitted(*arrays, **static)
        leaves, tree = jax.tree.flatten(arrays)
        shapes = tuple(x.aval if isinstance(x, jax.Array) else jax.typeof(x) for x in leaves)
        key = tree, shapes, tuple(static.items()), tuple(settings[name] for name in _FOR_A_WHILE)
        made = self._made.get(key)
        if made is None:
            with self._lock:
                making = self._making.setdefault(key, threading.Lock())
            with making:
                if key not in self._made:
                    self._made[key] = self._make(arrays, static)
                made = self._made[key]
        return made(*arrays)

    def __len__(self) -> int:
        """How many this process has made."""
        return len(self._made)

    def lower(self, *arrays: Any, **static: Any) -> jax.stages.Lowered:
        """The program, to be compiled for devices that need not be here; arrays may be shapes with shardings."""
        return self._jitted.lower(*arrays, **static)

    def _make(self, arrays: tuple[Any, ...], static: dict[str, Any]) -> Callable[..., Any]:
        """What computes the function of arrays of these shapes."""
        leaves, tree = jax.tree.flatten(arrays)
        shapes = [repr(jax.typeof(leaf)) for leaf in leaves]
        settings = {k: str(v) for k, v in jax.config.values.items() if not k.startswith(_NO_MATTER)}
        try:
            made_of = described((self._function, static))
            entry = cache.digest(made_of, str(tree), shapes, settings, _environment())
        except (_UnknownCodeError, OSError):
            return partial(self._jitted, **static)
        if (traced := _fetched(entry)) is None:
            try:
                traced = _traced(partial(self._function, **static), tree, leaves)
            except Exception:  # it cannot be exported, or is wrong, which the call will tell
                return partial(self._jitted, **static)
            cache.store(KIND, entry, pickle.dumps((traced.out, traced.exported.serialize())))
        call = jax.jit(traced.exported.call, compiler_options=self._compiler_options)
        compiled, out_tree = call.lower(*leaves).compile(), jax.tree.structure(traced.out)
        return lambda *arrays: jax.tree.unflatten(out_tree, compiled(*jax.tree.leaves(arrays)))


class _Traced(NamedTuple):
    """Attributes:
    exported: the program, of the leaves of arrays and results, by position.
    out: a tree like that of the results.
    """

    exported: export.Exported
    out: Any


def _traced(function: Callable[..., Any], tree: Any, leaves: Sequence[Any]) -> _Traced:
    found: Any = None

    def of_leaves(*leaves: Any) -> list[Any]:
        nonlocal found
        out, found = jax.tree.flatten(function(*jax.tree.unflatten(tree, leaves)))
        return out

    exported = export.export(jax.jit(of_leaves))(*leaves)
    return _Traced(exported, jax.tree.unflatten(found, range(found.num_leaves)))


def _fetched(entry: str) -> _Traced | None:
    if data := cache.fetch(KIND, entry):
        # What another version has put there may raise anything.
        with suppress(Exception):
            out, exported = pickle.loads(data)
            return _Traced(export.deserialize(exported), out)
    return None


class _UnknownCodeError(Exception):
    """It depends on code that nothing tells the version of."""


def described(value: Any) -> Any:
    """All that a function or an option is made of, in values of JSON: equal for what computes the same by the same
    code.

    Raises:
      _UnknownCodeError: there is no telling.
    """
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, enum.Enum)):
        return [type(value).__name__, repr(value)]
    if isinstance(value, enum.Enum):
        return [_name(type(value)), value.name]
    if isinstance(value, partial):
        return ["partial", *map(described, (value.func, value.args, value.keywords))]
    if isinstance(value, np.dtype):
        return ["dtype", value.str, value.name]
    if isinstance(value, dict):
        return ["dict", *([described(k), described(v)] for k, v in value.items())]
    if isinstance(value, tuple | list):
        return [_name(type(value)), *map(described, value)]
    if is_dataclass(value) and not isinstance(value, type):
        # A Flax module's parent is of where it stands, not of what it computes; its name is within its parameters'.
        own = [f.name for f in fields(value) if f.name != "parent"]
        return [_name(type(value)), *([name, described(getattr(value, name))] for name in own)]
    if isinstance(value, type) or callable(value):
        return _name(value)
    raise _UnknownCodeError


def _name(code: Any) -> str:
    """A class or function by its full name, of which there is one."""
    module, name = getattr(code, "__module__", None), getattr(code, "__qualname__", None)
    if module is None or name is None or module.partition(".")[0] not in _KNOWN_CODE:
        raise _UnknownCodeError
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not code:
        raise _UnknownCodeError  # made within a function, of what that was given
    return f"{module}.{name}"


@memoised
def _environment() -> list[Any]:
    """What all programs are made with; raises as `described`, and OSError where the code cannot be read."""
    files = sorted(cache.PACKAGE.rglob("*.py"))
    if not files or any(path.stat().st_mtime > _STARTED for path in files):
        raise _UnknownCodeError  # what this process runs is no longer what lies there
    package = cache.digest(*(path.read_bytes() for path in files))
    return [package, sys.version, installed(_LIBRARIES)]
