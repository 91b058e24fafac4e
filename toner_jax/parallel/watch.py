"""Whether the other processes of a job are still there.

JAX's runtime finds out, too, but aborts with a stack of its own, and says nothing for a minute and a half by default.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from jax._src import distributed  # JAX gives no other way to its store of keys and values

from toner_jax.common import cli
from toner_jax.common.console import alarm

_TOO = "this process ends, too, and the same command goes on from the last checkpoint"
_BEATS = "toner_jax/beats/"
_LEFT = "toner_jax/left/"
_EVERY = 3.0  # seconds between beats
_PATIENCE = 25.0  # seconds without one
_SUSPENDED = 10.0  # seconds between two looks, of which there is one a second
_GRACE = 2.0  # seconds after the end of another
_GOODBYE = 15.0  # seconds that the first process waits for the others to hear of its end
_LINGER = 10.0  # seconds that it lets them end in peace, when it ends itself because of another

# The runtime aborts where the first process, which holds its service, is gone, and at times where another is: its first
# line becomes one of ours, unless that has been said, and its stack is left out. A process of its own, as an abort ends
# all threads of this one.
_FILTER = """
import sys
lost = False
for line in sys.stdin.buffer:
    own = line[:1] in b"EFWI" and line[1:5].isdigit() and (b"coordination_service" in line or b"client.h" in line)
    if own and line[:1] in b"EF" and not lost:
        lost = True
        sys.stderr.buffer.write(sys.argv[1].encode() + b"\\n")
    elif not (lost or own or line.startswith(b"[Gloo]")):
        sys.stderr.buffer.write(line)
        lost = sys.argv[2].encode() in line
    sys.stderr.buffer.flush()
"""


def job() -> Any:
    """What JAX knows of the job that this process has joined: `process_id`, `num_processes`, `client`. Unlike
    `jax.process_count()`, asking starts no device."""
    return distributed.global_state


def store() -> Any:
    """JAX's store of keys and values, which all processes share."""
    return job().client


class Watch:
    """Tells the others that this process is there, and ends it when one of them is not."""

    def __init__(self, index: int, count: int):
        self._index, self._others = index, [i for i in range(count) if i != index]
        self._stopped, self._ending = threading.Event(), threading.Lock()  # the lock is taken once
        now = time.monotonic()
        self._looked = self._heard = now  # when it last looked, and when the store last answered
        self._beats = dict.fromkeys(self._others, (-1, now))  # the last of each, and when it came
        self._threads = [
            threading.Thread(target=t, name="watch", daemon=True) for t in (self._beat, self._look)
        ]

    def start(self) -> Watch:
        """Begins to watch, and has standard error say of the runtime's aborts one line."""
        _keep_standard_output()
        self._filter_aborts()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """From now on others may end."""
        self._stopped.set()
        for thread in self._threads:  # one that hangs in the network is left there
            thread.join(_EVERY)

    def leave(self, why: str) -> None:
        """Tells the others that this process ends, and why. The first waits for them to hear of it."""
        self.stop()
        with suppress(Exception):
            store().key_value_set(f"{_LEFT}{self._index}", why.split("\n")[0][:300], allow_overwrite=True)
            until = time.monotonic() + _GOODBYE
            while self._index == 0 and time.monotonic() < until and len(_read(_LEFT)) <= len(self._others):
                time.sleep(0.2)
        if self._index == 0:  # what the others have told ends a little later
            time.sleep(_EVERY)
        cli.end_at_once()  # or else JAX would wait at the interpreter's end for the others to end in the same way

    def wait_for_verdict(self) -> None:
        """Waits for the watch to find out who is gone, which ends this process."""
        time.sleep(_PATIENCE + _LINGER + 4 * _EVERY)

    def _beat(self) -> None:
        """Writes and reads beats; hangs where the network is cut."""
        number = 0
        while not self._stopped.wait(_EVERY if number else 0):
            number += 1
            with suppress(Exception):  # `_look` tells when it goes on for long
                store().key_value_set(f"{_BEATS}{self._index}", str(number), allow_overwrite=True)
                beats, left, now = _read(_BEATS), _read(_LEFT), time.monotonic()
                for other in self._others:
                    # This process may be about to end in the same way.
                    if other in left and not self._stopped.wait(_GRACE):
                        self._end(f"process {other} has ended: {left[other]}")
                    if int(beats.get(other, -1)) != self._beats[other][0]:
                        self._beats[other] = int(beats[other]), now
                self._heard = now

    def _look(self) -> None:
        while not self._stopped.wait(1.0):
            if why := self.missing(time.monotonic()):
                self._end(why)

    def missing(self, now: float) -> str:
        """Who has not been heard of for too long at the time `now`, in words; "" where nobody is missed.

        Who was stopped itself, as a scheduler suspends whole jobs, has heard of nobody, and gives the others time.
        """
        suspended, self._looked = now - self._looked > _SUSPENDED, now
        if suspended:
            self._heard = now
            self._beats = {other: (number, now) for other, (number, _) in self._beats.items()}
        if not self._answers(now):
            return f"process 0 cannot be reached for {_PATIENCE:.0f} s"
        for other, (_, came) in self._beats.items():
            if now - came > _PATIENCE:
                return f"process {other} has ended, or cannot be reached for {_PATIENCE:.0f} s"
        return ""

    def _answers(self, now: float) -> bool:
        """Whether the store has, of late."""
        return now - self._heard <= _PATIENCE

    def _end(self, why: str) -> None:
        if not self._ending.acquire(blocking=False):
            return  # the other thread has found out, too
        alarm(f"{why}; {_TOO}")
        if self._answers(time.monotonic()):
            with suppress(Exception):
                store().key_value_set(f"{_LEFT}{self._index}", why, allow_overwrite=True)
        now = time.monotonic()
        heard = any(now - came <= _PATIENCE for _, came in self._beats.values())
        if self._index == 0 and heard:  # the others hear of it from the store, which ends with this process
            time.sleep(_LINGER)
        sys.stderr.flush()
        os._exit(cli.PREEMPTED)

    def _filter_aborts(self) -> None:
        line = f"process {self._index}: another process has ended or cannot be reached; {_TOO}"
        read, write = os.pipe()
        subprocess.Popen([sys.executable, "-ISc", _FILTER, line, _TOO], stdin=read, start_new_session=True)
        os.close(read)
        os.dup2(write, 2)
        os.dup2(write, 1)  # where libraries of the runtime write, too
        os.close(write)


def _keep_standard_output() -> None:
    """Gives Python a number of its own for standard output: nothing else writes between our lines."""
    before = sys.stdout
    if isinstance(before, io.TextIOWrapper):
        before.flush()
        sys.stdout = io.TextIOWrapper(
            os.fdopen(os.dup(before.fileno()), "wb"),
            encoding=before.encoding,
            errors=before.errors,
            line_buffering=before.line_buffering,
        )


def _read(prefix: str) -> dict[int, str]:
    """The values under a prefix, by process."""
    return {
        int(str(key).rsplit("/", 1)[1]): str(value) for key, value in store().key_value_dir_get(prefix) or ()
    }
