"""The format version of a work directory, and what its config.json gives back."""

from __future__ import annotations

import json

import pytest

import toner_jax
from toner_jax.config import base
from toner_jax.errors import UserError
from toner_jax.main import main as train
from toner_jax.predict import main as predict
from toner_jax.runs.config_files import FORMAT_VERSION, load, save


@pytest.mark.parametrize("value", ["dev", 0, 0.7, -0.5])
def test_numbers_and_dev_come_back_as_they_were(tmp_path, value):
    config = base()
    config.matcher.type_threshold = config.decode.calibration_temperature = value
    save(config, tmp_path / "config.json")
    found = load(tmp_path / "config.json")
    assert found.matcher.type_threshold == found.decode.calibration_temperature == value
    assert found.to_json() == config.to_json()
    found.matcher.type_threshold = "dev"  # still a field of both kinds


NEWER = f"format version {FORMAT_VERSION + 1}, and this toner_jax reads {FORMAT_VERSION}; use the toner_jax that wrote"
OLDER = f"no format version, and this toner_jax reads {FORMAT_VERSION}; use the toner_jax that wrote"
VERSIONS = [(FORMAT_VERSION + 1, NEWER), (None, OLDER)]


def of_version(path, values, version):
    values = {key: value for key, value in values.items() if key != "format_version"}
    path.write_text(json.dumps(values if version is None else {"format_version": version, **values}))


@pytest.fixture
def workdir(tmp_path):
    save(base(), tmp_path / "config.json")
    return tmp_path


@pytest.mark.parametrize(("version", "message"), VERSIONS)
def test_a_run_of_another_version_is_refused_in_a_line(workdir, capsys, version, message):
    path = workdir / "config.json"
    of_version(path, json.loads(path.read_text()), version)
    before = path.read_bytes()
    source = workdir / "in.txt"
    source.write_text("a\n")
    arguments = ["--config=configs/quickstart.py", f"--workdir={workdir}", "--config.data.generated.train=8"]
    for run in (
        lambda: train(arguments),
        lambda: train([*arguments, "--dry_run"]),
        lambda: predict([f"--model={workdir}", f"--input={source}"]),
    ):
        assert run() == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("toner-jax: ")
        assert f"{path}: {message}" in last
    assert path.read_bytes() == before


@pytest.mark.parametrize(("version", "message"), VERSIONS)
def test_a_saved_model_of_another_version_is_refused_in_a_line(tmp_path, version, message):
    path = tmp_path / "toner.json"
    of_version(path, {"step": 3}, version)
    with pytest.raises(UserError) as error:
        toner_jax.load(tmp_path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "[]", '"a"'])
def test_a_damaged_file_is_no_other_version(workdir, content):
    path = workdir / "config.json"
    path.write_text(content)
    with pytest.raises(
        UserError, match=r"config\.json: damaged or unreadable \(.*\); restore it or train anew"
    ):
        load(path)
