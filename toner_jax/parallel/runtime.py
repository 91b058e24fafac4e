"""What every program sets once: the compute dtype, where compiled programs are cached, what compiling leaves; and the
cores that compile them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache as memoised
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from toner_jax.common import cache
from toner_jax.common.console import say
from toner_jax.parallel.mesh import on_cpu

_LEAST_SECONDS = "jax_persistent_cache_min_compile_time_secs"
_JAX_LEAST_SECONDS = 1.0  # its default
_COMPILED = "/jax/core/compile/backend_compile_duration"  # JAX's event
_LONG = 0.2  # seconds of a compilation that leaves much; going through the heap takes a tenth of that


def set_up_compilation() -> None:
    """Keeps compiled programs between processes, and gives the system back what compiling them needed."""
    _keep_programs()
    _return_freed_memory()


def _keep_programs() -> None:
    """A second start does not compile again.

    Only where JAX's own settings name no folder for them, and the user has a private cache that can be written.
    """
    if jax.config.values["jax_compilation_cache_dir"]:
        return
    folder = cache.private_folder("xla")
    if folder is None or not os.access(folder, os.W_OK):
        _say_uncached()
        return
    with suppress(OSError):
        cache.trim(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if jax.config.values[_LEAST_SECONDS] == _JAX_LEAST_SECONDS and _LEAST_SECONDS.upper() not in os.environ:
        jax.config.update(_LEAST_SECONDS, 0.5)


@memoised
def _say_uncached() -> None:
    say(
        "compiled programs are not cached, so that each start compiles: there is no cache that can be written; "
        "XDG_CACHE_HOME names another folder for it"
    )


@memoised
def _return_freed_memory() -> None:
    """After each long compilation, memory that is free in the heap goes back to the system.

    The compiler's many small pieces are the most of it: 40 to 100 MiB of a process that predicts on a CPU.
    """
    if trim := _heap_trim():

        def compiled(event: str, duration_secs: float, **kwargs: str | int) -> None:
            if event == _COMPILED and duration_secs >= _LONG:
                trim(0)

        jax.monitoring.register_event_duration_secs_listener(compiled)


def _heap_trim() -> Callable[[int], object] | None:
    """glibc's `malloc_trim`; None where the C library is another."""
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # TypeError: Windows has no such library
        return None
    return found


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compute_dtype(name: str, mesh: Mesh) -> Any:
    """The dtype of activations by its name; "auto" is float32 on a mesh of CPUs and bfloat16 elsewhere."""
    if name == "auto":
        return jnp.float32 if on_cpu(mesh) else jnp.bfloat16
    return jnp.dtype(name).type
