"""Scalars as TensorBoard events.

tensorboardX's own writer hands them to a thread. Where that cannot write, of a full disk, it ends with a traceback, and
some events later the training waits for it without end. Here each event is written as it comes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toner_jax.common.files import naming


class Events:
    """A new file of events in a folder."""

    def __init__(self, folder: Path, first: int):
        """`first`: TensorBoard shows nothing that other files of the folder have of this step and later ones.

        Raises:
          OSError: it cannot be written; the error names it.
        """
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        with naming(folder):
            self._file = EventsWriter(str(folder / "events"))
        self._put(Event(step=first, file_version="brain.Event:2"))
        self._put(Event(step=first, session_log=SessionLog(status=SessionLog.START)))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes the values of a step; raises as the constructor."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in scalars.items():
            self._put(Event(step=step, wall_time=time.time(), summary=scalar(name, value)))
        with naming(self._folder):
            self._file.flush()

    def write_hyperparameters(self, values: Mapping[str, Any], scalars: Sequence[str]) -> None:
        """Writes the values by key that stand behind the folder's scalars, for TensorBoard's table of runs. Raises as
        the constructor.

        Args:
          scalars: the names of those that the table shows.
        """
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import hparams

        plain = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in values.items()}
        for summary in hparams(plain, dict.fromkeys(scalars)):
            self._put(Event(wall_time=time.time(), summary=summary))
        with naming(self._folder):
            self._file.flush()

    def _put(self, event: Any) -> None:
        with naming(self._folder):
            self._file.write_event(event)
