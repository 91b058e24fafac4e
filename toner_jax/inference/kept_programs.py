"""Programs as they were traced, kept in the user's cache: a process that finds one there neither traces nor lowers it.

JAX's own cache knows what it has compiled by the lowered program, so that each process has to trace and lower it first,
which takes a small model longer than all else before a first entity. Here a program is known by what it is made of
(`toner_jax.inference.program_key`). What cannot be known so is traced each time.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import jax
from jax import export
from jax.sharding import Mesh

from toner_jax.common import cache
from toner_jax.inference.program_key import UnknownCodeError, program_key
from toner_jax.parallel.mesh import on_cpu
from toner_jax.parallel.processes import several

KIND = "programs"  # of entries in the user's cache

_PLATFORM = "cpu"
# JAX's settings that may be others for a while, and change what is traced.
_FOR_A_WHILE = (
    "jax_default_device",
    "jax_default_matmul_precision",
    "jax_enable_x64",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
)
# Those of which `jax.jit` makes something else than a program.
_JIT_ALONE = ("jax_debug_infs", "jax_debug_nans", "jax_disable_jit")


class KeptPrograms:
    """A function's programs, one for each shape of what it is given. Threads share them, and wait for each other while
    one is made.

    They are kept where a CPU is the only device, as tracing is what a user waits for there, and if JAX is to cache what
    it compiles.
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
        alone = on_cpu(mesh) and jax.default_backend() == _PLATFORM and jax.local_device_count() == 1
        self._kept = alone and not several()
        self._made: dict[Hashable, Callable[..., Any]] = {}
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def __call__(self, *arrays: Any, **static: Any) -> Any:
        """What the function returns, of device arrays."""
        settings = jax.config
        if not self._kept or any(getattr(settings, name) for name in _JIT_ALONE):
            return self._jitted(*arrays, **static)
        leaves, tree = jax.tree.flatten(arrays)
        shapes = tuple(x.aval if isinstance(x, jax.Array) else jax.typeof(x) for x in leaves)
        key = tree, shapes, tuple(static.items()), tuple(getattr(settings, name) for name in _FOR_A_WHILE)
        made = self._made.get(key)
        if made is None:
            with self._lock:
                making = self._making.setdefault(key, threading.Lock())
            with making:
                if key not in self._made:
                    self._made[key] = self._make(arrays, static)
                made = self._made[key]
        try:
            return made(*arrays)
        except (TypeError, ValueError):  # arrays that it was not made for: tracers, or on another device
            return self._jitted(*arrays, **static)

    def __len__(self) -> int:
        """How many this process has made."""
        return len(self._made)

    def lower(self, *arrays: Any, **static: Any) -> jax.stages.Lowered:
        """The program, to be compiled for devices that need not be here; arrays may be shapes with shardings."""
        return self._jitted.lower(*arrays, **static)

    def _make(self, arrays: tuple[Any, ...], static: dict[str, Any]) -> Callable[..., Any]:
        """What computes the function of arrays of these shapes."""
        leaves, tree = jax.tree.flatten(arrays)
        jitted = partial(self._jitted, **static)
        if not jax.config.values["jax_enable_compilation_cache"]:
            return jitted
        try:
            key = program_key(self._function, static, tree, [jax.typeof(leaf) for leaf in leaves])
        except (UnknownCodeError, OSError):
            return jitted
        traced = _fetched(key) or _stored(key, partial(self._function, **static), tree, leaves)
        if traced is None:
            return jitted
        named = _named_as(self._function, traced.exported.call)
        call = jax.jit(named, compiler_options=self._compiler_options)
        compiled, out_tree = call.lower(*leaves).compile(), jax.tree.structure(traced.out)
        return lambda *arrays: jax.tree.unflatten(out_tree, compiled(*jax.tree.leaves(arrays)))


class _Traced(NamedTuple):
    """Attributes:
    exported: the program, of the leaves of arrays and results, by position.
    out: a tree like that of the results.
    """

    exported: export.Exported
    out: Any

    @property
    def suits(self) -> bool:
        """Whether it is for a CPU that is alone."""
        return self.exported.platforms == (_PLATFORM,) and self.exported.nr_devices == 1


def _stored(key: str, function: Callable[..., Any], tree: Any, leaves: Sequence[Any]) -> _Traced | None:
    """Traces a program, and keeps it. None where it cannot be exported, or the function is wrong, which its call
    tells."""
    with suppress(Exception):
        traced = _traced(function, tree, leaves)
        data = pickle.dumps((traced.out, traced.exported.serialize()))
        if traced.suits:
            cache.store(KIND, key, data)
            return traced
    return None


def _traced(function: Callable[..., Any], tree: Any, leaves: Sequence[Any]) -> _Traced:
    found: Any = None

    def of_leaves(*leaves: Any) -> list[Any]:
        nonlocal found
        out, found = jax.tree.flatten(function(*jax.tree.unflatten(tree, leaves)))
        return out

    named = _named_as(function, of_leaves)
    exported = export.export(jax.jit(named), platforms=(_PLATFORM,))(*leaves)
    return _Traced(exported, jax.tree.unflatten(found, range(found.num_leaves)))


def _named_as(function: Callable[..., Any], program: Callable[..., Any]) -> Callable[..., Any]:
    """`program` with the name of a function, which compilations and profiles show."""
    while isinstance(function, partial):
        function = function.func

    def named(*leaves: Any) -> Any:
        return program(*leaves)

    named.__name__ = named.__qualname__ = function.__name__
    return named


def _fetched(key: str) -> _Traced | None:
    """A program from the cache, if it is there and whole."""
    if data := cache.fetch(KIND, key):
        with suppress(Exception):  # what another version has put there may raise anything
            out, exported = pickle.loads(data)
            traced = _Traced(export.deserialize(exported), out)
            return traced if traced.suits else None
    return None
