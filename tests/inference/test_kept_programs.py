"""Programs that are kept compute what was traced, and are taken for no others."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax.common import cache
from toner_jax.inference import kept_programs, program_key
from toner_jax.inference.embedding import embed
from toner_jax.inference.kept_programs import KeptPrograms
from toner_jax.models import registry
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.model import Bert
from toner_jax.parallel.mesh import make_mesh

CONFIG = BertConfig(
    vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
)
MODEL = Bert(CONFIG)
IDS = np.array([[3, 4, 5, 0], [6, 7, 0, 0]], np.int32)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def params():
    return registry.initializer(MODEL)(jax.random.key(0))


@pytest.fixture(autouse=True)
def usual(monkeypatch):
    """A single device, and code that is older than the process."""
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    monkeypatch.setattr(program_key, "_begun", lambda: math.inf)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Of a user whose cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program_key._code_digest.cache_clear()
    yield tmp_path / "toner_jax" / kept_programs.KIND
    program_key._code_digest.cache_clear()


@pytest.fixture
def traced(monkeypatch):
    """The functions that are traced, in their order."""
    found, trace = [], kept_programs._traced

    def tracing(function, *rest):
        found.append(function)
        return trace(function, *rest)

    monkeypatch.setattr(kept_programs, "_traced", tracing)
    return found


def made(model=MODEL, **options) -> KeptPrograms:
    return KeptPrograms(functools.partial(embed, model), make_mesh(1, devices=jax.devices()[:1]), **options)


def test_what_was_kept_computes_the_same_and_is_not_traced(folder, traced, params):
    first, second = made(), made()
    expected = jax.jit(functools.partial(embed, MODEL))(params, IDS)
    for program in (first, first, second):
        np.testing.assert_array_equal(program(params, IDS), expected)
    assert len(traced) == 1


def test_each_shape_has_one_of_its_own(folder, traced, params):
    program = made()
    for length in (4, 3, 4, 2):
        ids = IDS[:, :length]
        expected = jax.jit(functools.partial(embed, MODEL))(params, ids)
        np.testing.assert_allclose(program(params, ids), expected, atol=1e-6)
    assert len(traced) == 3
    program(jax.tree.map(lambda x: x.astype(jnp.bfloat16), params), IDS)
    assert len(traced) == 4


@pytest.mark.parametrize(
    "other",
    [
        lambda: made(Bert(dataclasses.replace(CONFIG, layer_norm_eps=0.1))),
        lambda: made(Bert(CONFIG, dtype=jnp.bfloat16)),
    ],
    ids=["config", "dtype"],
)
def test_another_program_is_another_entry(folder, traced, params, other):
    made()(params, IDS)
    other()(params, IDS)
    assert len(traced) == 2
    assert len(list(folder.glob("[0-9a-f]*"))) == 2


def test_compiler_options_are_heeded(folder, traced, params):
    made()(params, IDS)
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        made(compiler_options={"no_such_option": True})(params, IDS)
    made(compiler_options={"xla_cpu_enable_fast_math": True})(params, IDS)
    assert len(traced) == 1  # they change what is compiled, not what is traced


def test_another_setting_of_jax_is_another_entry(folder, traced, params):
    program = made()
    program(params, IDS)
    with jax.default_matmul_precision("highest"):
        program(params, IDS)
        made()(params, IDS)
        assert len(traced) == 2
    program(params, IDS)
    assert len(traced) == 2


def test_other_code_is_another_entry(folder, traced, params, tmp_path, monkeypatch):
    made()(params, IDS)
    copied = tmp_path / "package"
    shutil.copytree(cache.PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__", "demonstration"))
    monkeypatch.setattr(cache, "PACKAGE", copied)
    for added, times in (("", 1), ("\n", 2)):
        with (copied / "models" / "layers.py").open("a") as file:
            file.write(added)
        program_key._code_digest.cache_clear()
        made()(params, IDS)
        assert len(traced) == times


def test_code_that_was_changed_since_the_process_began_keeps_nothing(folder, params, tmp_path, monkeypatch):
    """What it runs is not what lies there, under whose digest the next process would find it."""
    monkeypatch.undo()
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    copied = tmp_path / "package"  # with the times of what it is a copy of
    shutil.copytree(cache.PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__", "demonstration"))
    monkeypatch.setattr(cache, "PACKAGE", copied)
    np.testing.assert_array_equal(made()(params, IDS), jax.jit(functools.partial(embed, MODEL))(params, IDS))
    assert not folder.exists()


@pytest.mark.parametrize("libraries", [{"jax": "0.0.1"}, {}])
def test_another_version_is_another_entry(folder, traced, params, monkeypatch, libraries):
    made()(params, IDS)
    monkeypatch.setattr(program_key, "installed", lambda _: libraries)
    program_key._code_digest.cache_clear()
    made()(params, IDS)
    assert len(traced) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "of another version"])
def test_what_is_damaged_is_traced_anew(folder, traced, params, damage):
    expected = made()(params, IDS)
    (entry,) = folder.glob("[0-9a-f]*")
    data = entry.read_bytes()
    if damage == "of another version":  # whole, and yet nothing that this one reads
        cache.store(kept_programs.KIND, entry.name, b"another")
    else:
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
        entry.write_bytes({"cut": data[:middle], "empty": b"", "changed": changed}[damage])
    for _ in range(2):  # and kept again
        np.testing.assert_array_equal(made()(params, IDS), expected)
    assert len(traced) == 2


def test_jax_told_to_cache_nothing_is_heeded(folder, params):
    before = jax.config.values["jax_enable_compilation_cache"]
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        made()(params, IDS)
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
    assert not folder.exists()


def test_a_patched_function_is_run_and_not_kept(folder, params, monkeypatch):
    """Another process, whose code is its files', would find what a patch computes."""

    def constant(q, *_, **__):
        return jnp.zeros((*q.shape[:3], q.shape[2]))

    expected = made()(params, IDS)
    for name in folder.glob("[0-9a-f]*"):
        name.unlink()
    monkeypatch.setattr("toner_jax.models.bert.model.attention_scores", constant)
    assert np.abs(made()(params, IDS) - expected).max() > 1e-4
    monkeypatch.undo()
    monkeypatch.setattr(Bert, "pool", lambda self, states, mask: states[:, 0])
    assert np.abs(made()(params, IDS) - expected).max() > 1e-4
    assert not list(folder.glob("[0-9a-f]*"))


def test_without_the_library_that_writes_them_nothing_is_kept(folder, params, monkeypatch):
    expected = jax.jit(functools.partial(embed, MODEL))(params, IDS)
    monkeypatch.setattr(jax.export.Exported, "serialize", lambda self: 1 / 0)
    np.testing.assert_array_equal(made()(params, IDS), expected)
    assert not list(folder.glob("[0-9a-f]*"))


def test_a_program_for_other_devices_is_not_taken(folder, traced, params, monkeypatch):
    expected = made()(params, IDS)
    (entry,) = folder.glob("[0-9a-f]*")
    out, _ = pickle.loads(cache.fetch(kept_programs.KIND, entry.name))
    foreign = jax.export.export(jax.jit(lambda *leaves: [leaves[-1]]), platforms=("cuda",))(IDS)
    cache.store(kept_programs.KIND, entry.name, pickle.dumps((out, foreign.serialize())))
    for _ in range(2):
        np.testing.assert_array_equal(made()(params, IDS), expected)
    assert len(traced) == 2


def test_entries_that_can_only_be_read_are_taken(folder, traced, params, monkeypatch):
    made()(params, IDS)

    def refused(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("os.utime", refused)
    made()(params, IDS)
    assert len(traced) == 1


def test_debugging_and_transformations_are_those_of_jit(folder, params):
    program, nothing = made(), jax.tree.map(lambda x: x * np.nan, params)
    ids = np.stack([IDS, IDS])
    program(params, IDS)
    np.testing.assert_allclose(jax.vmap(program, (None, 0))(params, ids)[1], program(params, IDS), atol=1e-6)
    assert jax.eval_shape(program, params, IDS).shape == (2, 16)
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        program(nothing, IDS)


def test_threads_wait_for_the_one_that_compiles(folder, traced, params):
    program = made()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: np.asarray(program(params, IDS)), range(16)))
    assert len(traced) == 1
    assert all(np.array_equal(vectors, found[0]) for vectors in found)


def test_code_that_nothing_tells_the_version_of_is_compiled_as_ever(folder, params):
    for factor in (1.0, 2.0):
        program = KeptPrograms(lambda x, factor=factor: x * factor, make_mesh(1, devices=jax.devices()[:1]))
        np.testing.assert_array_equal(program(IDS), IDS * factor)
    assert not list(folder.glob("[0-9a-f]*"))


SECOND_START = """
import json
from flax import linen as nn
traced, apply = [], nn.Module.apply
def applied(module, *args, **kwargs):
    traced.append(type(module).__name__)
    return apply(module, *args, **kwargs)
nn.Module.apply = applied
import toner_jax
ner = toner_jax.load("quickstart")
entities = ner.predict(["Judge Ivan Borcalski came to Selqua on Monday."])[0]
print(json.dumps([entities, traced]))
"""


def test_a_second_process_finds_the_same_and_traces_nothing(folder):
    found = []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", SECOND_START],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
            env={name: value for name, value in os.environ.items() if name != "XLA_FLAGS"},
        )
        assert "Traceback" not in run.stderr
        assert "machine" not in run.stderr  # XLA's doubts whether what it loads is for this one
        found.append(json.loads(run.stdout))
    assert found[0][0]
    assert found[0][0] == found[1][0]
    assert [sorted(set(traced)) for _, traced in found] == [["Bert", "ToNER"], []]
    kept = [cache.fetch(kept_programs.KIND, entry.name) for entry in folder.glob("[0-9a-f]*")]
    assert len(kept) >= 2
    for said in ("Borcalski", "person"):  # of texts and labels nothing is kept
        assert not [data for data in kept if said.encode() in data]
