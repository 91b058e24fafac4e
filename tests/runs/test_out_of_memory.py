"""Memory that runs out at any stage: the message names the stage and what to lower there."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

import toner_jax
from toner_jax.config import base
from toner_jax.data.formats import registry
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError
from toner_jax.models import registry as models
from toner_jax.runs import evaluate, matcher, options, setup
from toner_jax.schema import EntityType, Schema, make_sentence
from toner_jax.training.checkpoint import Checkpoints

SENTENCES = [make_sentence("0", ["Ajax", "sank"], (), None)]
SCHEMA = Schema("ships", (EntityType("ship"),))


def exhausted(*_: object, **__: object) -> None:
    jnp.ones((1 << 46,), jnp.float32)  # more than any machine has


class Exhausted:
    """A recognizer, or a matcher, of too much."""

    __call__ = types = similarities = staticmethod(exhausted)


@pytest.fixture
def refused():
    """A context in which memory runs out, and the beginning and end of what is said."""

    def check(begins: str, ends: str):
        return pytest.raises(UserError, match=rf"^{begins}: out of memory on the device \(.*\); {ends}$")

    return check


def test_decoding_and_matching_in_the_evaluate_stage(refused):
    trained = evaluate._Trained(None, Exhausted(), Exhausted(), None)
    with refused("evaluate: decoding", options.SMALLER_DECODING):
        trained.recognize(SENTENCES, None, 1.0)
    with refused("evaluate: types of dev", options.SMALLER_DECODING):
        trained.name_types("dev", SENTENCES)
    with refused("evaluate: type matching", options.SMALLER_DECODING):
        evaluate._Types(matcher.RestoredMatcher(Exhausted(), None), 0.5, 0)(SENTENCES, SCHEMA)


def test_the_python_interface(refused, monkeypatch):
    ner = toner_jax.Ner.__new__(toner_jax.Ner)
    ner._turn, ner.type_threshold, ner.schema, ner.tasks = threading.RLock(), 0.5, SCHEMA, ("ner",)
    ner._restored, ner.calibration_temperature = (
        SimpleNamespace(generator_params=None, matcher_params=None),
        1.0,
    )
    monkeypatch.setattr(ner, "_recognizers", lambda *_, **__: Exhausted(), raising=False)
    ner._matcher = None
    with refused("decoding", options.SMALLER_DECODING):
        ner.recognize(SENTENCES)
    with refused("recognizing types", options.SMALLER_DECODING):
        ner.name_types(SENTENCES)
    ner._matcher = Exhausted()
    with refused("type matching", options.SMALLER_DECODING):
        ner.similarities(SENTENCES, SCHEMA)
    monkeypatch.setattr("toner_jax.runs.loaded.restore", exhausted)
    monkeypatch.setattr("toner_jax.runs.loaded.find_model", lambda name, _: Path(name))
    with refused("here: loading", options.SMALLER_MODEL):
        toner_jax.load("here")


def test_parameters_and_checkpoints(refused, monkeypatch, tmp_path):
    config = SimpleNamespace(
        seed=0, dropout_prng="threefry", sharding="fsdp", generator=SimpleNamespace(checkpoint="")
    )
    architecture = SimpleNamespace(kind="generator", sharding=(), hf=None)
    monkeypatch.setattr(models, "of", lambda _: architecture)
    monkeypatch.setattr(models, "initializer", lambda _: lambda key: {})
    monkeypatch.setattr(setup.train_state, "create_state", exhausted)
    with refused("generator: parameters and moments", options.SMALLER_MODEL):
        setup.create_state(config, SimpleNamespace(config=None), None, None)
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setattr(setup, "parameter_targets", lambda *_: {})
    monkeypatch.setattr(Checkpoints, "restore_params", exhausted)
    with refused(f"{tmp_path}: restoring parameters", options.SMALLER_MODEL):
        setup.restore_params(tmp_path, 1, SimpleNamespace(config=None), None, "fsdp")


@pytest.mark.slow
def test_a_checkpoint_of_too_much(tmp_path, monkeypatch):
    with Checkpoints(tmp_path) as checkpoints:
        monkeypatch.setattr(checkpoints._manager, "save", exhausted)
        with pytest.raises(
            UserError, match=r"saving step 3: out of memory on the device .*no earlier step exists"
        ):
            checkpoints.save(3, {"a": jax.numpy.ones(3)}, {"step": 3})


def test_reading_data(tmp_path, monkeypatch):
    def read(*_: object) -> None:
        raise MemoryError

    section = base().data
    section.update({"dir": str(tmp_path), "format": "jsonl", "cache": False})
    options = DataOptions.from_section(section)
    monkeypatch.setitem(registry.FORMATS, "jsonl", registry.Format(read, read))
    (tmp_path / "a.jsonl").touch()
    says = "out of memory on the host; give it less data, or a machine with more memory$"
    with pytest.raises(UserError, match=f"a.jsonl: reading it: {says}"):
        registry.read_path(tmp_path / "a.jsonl", "jsonl", None, "", options)
    with pytest.raises(UserError, match=f"^{tmp_path}: reading the data: {says}"):
        load_dataset(options, ["train"])
