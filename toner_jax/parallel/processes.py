"""Processes that train one model together: how they find each other, agree, and end.

JAX's runtime connects them; each drives devices of its own, and all run the same programs on one mesh. What is read
from a folder that changes is read by the first and told to the others, and what is written is written by the first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count as counted
from typing import Any, TypeVar

import jax

from toner_jax.common.console import speak_as
from toner_jax.common.environment import AUTO, OFF, parallel_job
from toner_jax.errors import UserError
from toner_jax.parallel.watch import Watch, job, store

T = TypeVar("T")

_MINUTES = 5  # that processes wait for each other at the start
_FOREVER = 7 * 24 * 3600 * 1000  # ms; the watch ends who waits for one that is no more
_HEARTBEATS = 50  # seconds without one until JAX's runtime aborts everything; the watch is earlier
_LOST = ("Gloo", "NCCL", "Socket closed", "Connection reset", "heartbeat", "CoordinationService")

_files = [True]  # whether the processes of this job share them
_said = counted()  # numbers what the first tells the others: all count alike


@dataclass(frozen=True)
class Wanted:
    """How processes are to find each other.

    Attributes:
      coordinator: HOST:PORT of the first process; "" for what the environment says.
      count: of processes; 0 as before.
      index: this one's number, from 0; −1 as before.
      share_files: whether all see what the first writes into a work directory.
      cluster: "auto", where the environment is a parallel job's; "off"; or a cluster's name as JAX knows it.
    """

    coordinator: str = ""
    count: int = 0
    index: int = -1
    cluster: str = AUTO
    share_files: bool = True


def is_first() -> bool:
    """Whether this process is the one that writes."""
    first: bool = job().process_id == 0
    return first


def several() -> bool:
    """Whether there are others besides this process."""
    together: bool = job().num_processes > 1
    return together


def share_files() -> bool:
    """Whether all processes see the files that the first writes."""
    return _files[0] or not several()


@contextmanager
def together(wanted: Wanted) -> Iterator[None]:
    """Within, this process is one of those that were started as one job; of a job of one process nothing is asked.

    When another one ends or cannot be reached, this one ends with a line that says which, in less than a minute.

    Raises:
      UserError: not all is known, or the others did not come.
    """
    if not _connect(wanted):
        yield
        return
    speak_as(jax.process_index())
    _files[0] = wanted.share_files
    watch = Watch(jax.process_index(), jax.process_count()).start()
    try:
        yield
    except BaseException as error:
        if any(sign in str(error) for sign in _LOST):
            watch.wait_for_verdict()
        interrupted = isinstance(error, KeyboardInterrupt)
        watch.leave("interrupted" if interrupted else str(error) or type(error).__name__)
        raise
    watch.stop()
    jax.distributed.shutdown()


def _connect(wanted: Wanted) -> bool:
    given = _of_environment(wanted)
    known = {"coordinator": given.coordinator, "count": given.count, "index": given.index >= 0}
    if any(known.values()):
        if missing := [name for name, value in known.items() if not value]:
            raise UserError(
                f"of processes, {' and '.join(missing)} must be known too: set processes.KEY, or "
                "JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID"
            )
        if not 0 <= given.index < given.count:
            raise UserError(f"processes.index={given.index}: {given.count} processes count from 0")
        if given.count == 1:
            return False
        _initialize(
            coordinator_address=given.coordinator,
            num_processes=given.count,
            process_id=given.index,
            cluster_detection_method="deactivate",
        )
        return True
    if given.cluster == OFF or (given.cluster == AUTO and not parallel_job()):
        return False
    _initialize(cluster_detection_method=None if given.cluster == AUTO else given.cluster)
    return several()


def _of_environment(wanted: Wanted) -> Wanted:
    """What is wanted, with what is not set from JAX's environment variables."""

    def number(name: str, otherwise: int) -> int:
        text = os.environ.get(name, "")
        if text and not text.isdigit():
            raise UserError(f"{name}={text}: not a number")
        return int(text) if text else otherwise

    return Wanted(
        wanted.coordinator or os.environ.get("JAX_COORDINATOR_ADDRESS", ""),
        wanted.count or number("JAX_NUM_PROCESSES", 0),
        wanted.index if wanted.index >= 0 else number("JAX_PROCESS_ID", -1),
        wanted.cluster,
        wanted.share_files,
    )


def _initialize(**given: Any) -> None:
    # It would take SIGTERM from `toner_jax.training.interrupts`.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            **given,
            initialization_timeout=60 * _MINUTES,
            heartbeat_timeout_seconds=_HEARTBEATS,
        )
    except (ValueError, TypeError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise UserError(
            f"the processes did not find each other: {reason}; set processes.coordinator, processes.count and "
            "processes.index, or processes.cluster=off for one process"
        ) from error


def on_first(do: Callable[[], T]) -> T:
    """Has the first process do something, and gives all of them what it returned, which JSON must hold. The others wait
    for it.

    Raises:
      UserError: as `do`, on the first process. The others end quietly: it says why.
    """
    if not several():
        return do()
    key = f"toner_jax/said/{next(_said)}"
    if not is_first():
        told: dict[str, Any] = json.loads(store().blocking_key_value_get(key, _FOREVER))
        if "failed" in told:
            raise SystemExit(told["failed"])
        value: T = told["value"]
        return value
    try:
        done = do()
    except UserError:
        store().key_value_set(key, json.dumps({"failed": 2}))
        raise
    store().key_value_set(key, json.dumps({"value": done}))
    return done


def wait_for_all(name: str) -> None:
    """Returns when every process has called it; `name` is of one place in the program."""
    if several():
        store().wait_at_barrier(f"toner_jax/{name}/{next(_said)}", _FOREVER)
