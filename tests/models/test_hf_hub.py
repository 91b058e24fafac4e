"""Where a checkpoint is: a folder, or a model of the hub."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils import filter_repo_objects

from toner_jax.errors import UserError
from toner_jax.models.hf.hub import resolve

HUB = {
    "config.json": True,
    "generation_config.json": True,
    "model.safetensors": True,
    "model-00001-of-00002.safetensors": True,
    "model.safetensors.index.json": True,
    "spiece.model": True,
    "tokenizer.json": True,
    "tokenizer_config.json": True,
    "special_tokens_map.json": True,
    "vocab.txt": True,
    "pytorch_model.bin": False,
    "tf_model.h5": False,
    "flax_model.msgpack": False,
    "onnx/config.json": False,
    "onnx/model.safetensors": False,
    "README.md": False,
    ".gitattributes": False,
}


def test_a_folder_is_itself(tmp_path, monkeypatch):
    assert resolve(str(tmp_path)) == tmp_path
    (tmp_path / "google").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("google") == Path("google")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("~/google") == tmp_path / "google"


def test_a_hub_name_is_downloaded(tmp_path, monkeypatch):
    asked: dict[str, Any] = {}

    def snapshot_download(name, **patterns):
        asked.update(patterns, name=name)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert resolve("google/flan-t5-small") == tmp_path
    assert asked.pop("name") == "google/flan-t5-small"
    assert set(filter_repo_objects(HUB, **asked)) == {name for name, wanted in HUB.items() if wanted}


def test_offline_is_one_line_that_names_the_model(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"^'nobody/no-such-model': no such folder, and downloading") as error:
        resolve("nobody/no-such-model")
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("; pass a folder that holds config.json and safetensors")


@pytest.mark.parametrize("path", ["/no/such/folder", "./absent", "~/absent-folder", "a/b/c", "x y", ""])
def test_paths_that_are_no_folders(path, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r": no such folder; pass one that holds config\.json and safetensors$"
    ):
        resolve(path)


def test_a_file_is_no_folder(tmp_path, monkeypatch):
    (tmp_path / "model.bin").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^'model\.bin': no such folder; pass one"):
        resolve("model.bin")
