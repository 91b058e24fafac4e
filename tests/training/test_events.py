"""TensorBoard's events: what a file holds, and a disk that is full."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from toner_jax.training.events import Events


def read(file):
    """The events of a file."""
    data, found = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def test_a_file_holds_its_scalars_and_hides_later_ones_of_others(tmp_path):
    events = Events(tmp_path / "toy", 8)
    events.write(8, {"loss": 0.5, "skipped": 2})
    (file,) = (tmp_path / "toy").iterdir()
    version, _, start, *scalars = read(file)
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (8, SessionLog.START)
    assert [(e.step, e.summary.value[0].tag, e.summary.value[0].simple_value) for e in scalars] == [
        (8, "loss", 0.5),
        (8, "skipped", 2.0),
    ]


def test_the_configuration_stands_beside_the_scores(tmp_path):
    events = Events(tmp_path / "evaluate", 0)
    events.write_hyperparameters(
        {"seed": 3, "decode.grammar": True, "data.name": "x", "stages": ("a", "b")}, ["f1"]
    )
    (file,) = (tmp_path / "evaluate").iterdir()
    found = {e.summary.value[0].tag: e.summary.value[0].metadata.plugin_data for e in read(file)[3:]}
    assert {data.plugin_name for data in found.values()} == {"hparams"}
    start = HParamsPluginData.FromString(found["_hparams_/session_start_info"].content).session_start_info
    values = {key: value.WhichOneof("kind") for key, value in start.hparams.items()}
    assert values == {
        "seed": "number_value", "decode.grammar": "bool_value", "data.name": "string_value", "stages": "string_value"
    }  # fmt: skip
    assert start.hparams["stages"].string_value == "('a', 'b')"
    experiment = HParamsPluginData.FromString(found["_hparams_/experiment"].content).experiment
    assert [metric.name.tag for metric in experiment.metric_infos] == ["f1"]


@pytest.mark.slow
def test_a_file_that_cannot_grow_is_an_error_at_once(tmp_path, pythonpath):
    """tensorboardX's own writer prints a traceback from its thread, and waits for it without end."""
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from toner_jax.common import cli\n"
        "from toner_jax.training.events import Events\n"
        "def command():\n"
        "    events = Events(Path(sys.argv[1]), 1)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, -1))\n"
        "    for step in range(200):\n"
        "        events.write(step, {'loss': 0.5})\n"
        "sys.exit(cli.run(command))\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, tmp_path / "toy"],
        capture_output=True,
        text=True,
        env=pythonpath,
        timeout=60,
    )
    says = (
        f"toner-jax: {tmp_path}/toy: File too large; raise the limit of a file's size (ulimit -f), or choose"
    )
    assert (done.returncode, done.stderr) == (2, f"{says} another disk\n")
