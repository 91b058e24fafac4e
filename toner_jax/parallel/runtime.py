"""What every program sets once: the compute dtype, and where compiled programs are cached."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp

from toner_jax.common import cache

_LEAST_SECONDS = "jax_persistent_cache_min_compile_time_secs"
_JAX_LEAST_SECONDS = 1.0  # its default


def keep_compiled_programs() -> None:
    """Keeps compiled programs between processes, so that a second start does not compile again.

    Only where JAX's own settings name no folder for them, and the user has a private cache that can be written.
    """
    if jax.config.values["jax_compilation_cache_dir"]:
        return
    folder = cache.private_folder("xla")
    if folder is None or not os.access(folder, os.W_OK):
        return
    with suppress(OSError):
        cache.trim(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if jax.config.values[_LEAST_SECONDS] == _JAX_LEAST_SECONDS and _LEAST_SECONDS.upper() not in os.environ:
        jax.config.update(_LEAST_SECONDS, 0.5)


def compute_dtype(name: str) -> Any:
    """The dtype of activations by its name; "auto" is float32 on CPU and bfloat16 elsewhere."""
    if name == "auto":
        return jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    return jnp.dtype(name).type
