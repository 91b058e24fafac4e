"""What every program sets once: the compute dtype, and where compiled programs are cached."""

from __future__ import annotations

import os
from typing import Any

import jax
import jax.numpy as jnp

from toner_jax.common.cache import user_cache


def keep_compiled_programs() -> None:
    """Keeps compiled programs between processes, so that a second start does not compile again."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(user_cache() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def compute_dtype(name: str) -> Any:
    """The dtype of activations by its name; "auto" is float32 on CPU and bfloat16 elsewhere."""
    if name == "auto":
        return jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    return jnp.dtype(name).type
