"""What a library wants, and what it must not show, while it is imported: environment variables, standard error; and
what they say of the job that this process belongs to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Within, the environment variable has the value, unless it is set already."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)


AUTO, OFF = "auto", "off"  # values of `processes.cluster`, besides the names that JAX has for clusters


def parallel_job() -> bool:
    """Whether this process was started as one of several, by srun, Open MPI's mpirun, or on hosts of a TPU slice."""
    sizes = (os.environ.get(name, "") for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"))
    hosts = os.environ.get("TPU_WORKER_HOSTNAMES", "")
    return any(size.isdigit() and int(size) > 1 for size in sizes) or "," in hosts


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Within, nothing of this process comes out at standard error, C++ included."""
    try:
        saved = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
