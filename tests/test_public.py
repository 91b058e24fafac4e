"""The package's face: what it exports, and what using it leaves alone."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

import toner_jax
from toner_jax import config as configuration
from toner_jax.errors import UserError
from toner_jax.runs.config_files import FORMAT_VERSION

NAMES = {"EntityType", "Ner", "PredictedEntity", "Schema", "UserError", "__version__", "load"}


def test_the_names_are_there_and_listed():
    assert set(toner_jax.__all__) == NAMES
    assert set(dir(toner_jax)) >= NAMES
    modules = {name: getattr(toner_jax, name).__module__ for name in NAMES - {"__version__"}}
    assert modules == {
        "EntityType": "toner_jax.schema",
        "Ner": "toner_jax.api",
        "PredictedEntity": "toner_jax.inference.predicted",
        "Schema": "toner_jax.schema",
        "UserError": "toner_jax.errors",
        "load": "toner_jax",
    }
    with pytest.raises(AttributeError, match="module 'toner_jax' has no attribute 'Nre'"):
        toner_jax.Nre  # noqa: B018


def test_listing_and_light_names_import_nothing_heavy(pythonpath):
    program = (
        "import sys, toner_jax\n"
        "dir(toner_jax)\n"
        "toner_jax.Schema('s', (toner_jax.EntityType('ship'),))\n"
        "assert not {'jax', 'numpy', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=pythonpath)


def test_a_wrong_label_is_a_value_error():
    with pytest.raises(ValueError, match="names are lower case"):
        toner_jax.EntityType("Ship")
    assert issubclass(toner_jax.UserError, ValueError)


@pytest.mark.parametrize("part", ["schema", "config"])
def test_what_is_wrong_within_an_exported_folder_is_told_as_it_is(tmp_path, part):
    """A UserError from within is not taken for damage of the file."""
    saved = {
        "format_version": FORMAT_VERSION, "step": 1, "tasks": ["ner"], "type_threshold": 0.5,
        "calibration_temperature": 1.0, "schema": {"ship": ""}, "config": configuration.base().to_dict(),
    }  # fmt: skip
    saved[part] = {"Ship": ""} if part == "schema" else {"seeds": 1}
    (tmp_path / "toner.json").write_text(json.dumps(saved, default=list))
    expected = {
        "schema": r"^entity type 'Ship': names are",
        "config": r"toner\.json: not a configuration of this",
    }
    with pytest.raises(UserError, match=expected[part]) as error:
        toner_jax.load(tmp_path)
    assert "damaged" not in str(error.value)


def test_messages_below_the_commands_name_parameters_and_no_flags():
    commands = {"main.py", "predict.py", "__main__.py", "commands", "benchmarks", "cli.py", "values.py"}
    package = Path(toner_jax.__file__).parent
    found = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in sorted(package.rglob("*.py"))
        if commands.isdisjoint(path.relative_to(package).parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(r"--[a-z]", node.value)
    ]
    assert found == []


# What a program finds unchanged after it imported the package, loaded a model and used it. The libraries below us are
# imported before: what they change is theirs.
PROBE = """
import json, logging, os, signal, sys, warnings
import absl.logging, flax, jax, ml_collections, optax, orbax.checkpoint, tokenizers, sentencepiece, transformers
import rich, safetensors, tensorboardX, yaml, nltk.tokenize

def state():
    loggers = {"": logging.root, **{k: v for k, v in logging.root.manager.loggerDict.items() if hasattr(v, "level")}}
    return {
        "loggers": {
            name: [v.level, v.propagate, v.disabled, len(v.filters), [repr(h) for h in getattr(v, "handlers", [])]]
            for name, v in loggers.items() if not name.startswith("toner_jax") or v.level or v.handlers
        },
        "class": repr(logging.getLoggerClass()), "disable": logging.root.manager.disable,
        "warnings": [repr(f) for f in warnings.filters],
        "jax": {k: repr(v) for k, v in jax.config.values.items()},
        "environment": dict(os.environ),
        "signals": {s.name: repr(signal.getsignal(s)) for s in signal.Signals},
        "streams": [sys.stdout.errors, sys.stdout.encoding, sys.stderr.errors, sys.stderr.encoding],
        "hooks": [repr(sys.excepthook), repr(sys.displayhook)],
    }

logging.root.handlers.clear()
before = state()
import toner_jax
imported = state()
ner = toner_jax.load(sys.argv[1])
spans = ner.predict(["Selqua met the Zorvel ."])
after = state()
for later in (imported, after):
    later["loggers"] = {k: v for k, v in later["loggers"].items() if k in before["loggers"]}
print(json.dumps([before, imported, after]))
"""


@pytest.mark.slow
def test_importing_loading_and_predicting_change_nothing_and_print_nothing(finished, pythonpath, tmp_path):
    """But where JAX caches compiled programs, which `load` documents."""
    home = {"HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(finished[0])],
        capture_output=True,
        text=True,
        env={**pythonpath, **home},
    )
    assert (done.returncode, done.stderr) == (0, "")
    before, imported, after = json.loads(done.stdout)
    assert imported == before
    cache = {
        "jax_compilation_cache_dir": repr(f"{tmp_path}/.cache/toner_jax/xla"),
        "jax_persistent_cache_min_compile_time_secs": "0.5",
    }
    changed = {k: v for k, v in after["jax"].items() if before["jax"][k] != v}
    assert {k: v for k, v in changed.items() if k != "jax_persistent_cache_min_entry_size_bytes"} == cache
    before["jax"] = after["jax"] = {}
    assert after == before


CACHE = """
import json, sys
{first}
from toner_jax.parallel.runtime import set_up_compilation
import jax
set_up_compilation()
names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
print(json.dumps([jax.config.values[name] for name in names]))
"""


@pytest.mark.parametrize(
    ("first", "environment", "expected"),
    [
        ("", {}, ["{home}/.cache/toner_jax/xla", 0.5]),
        pytest.param(
            "",
            {"XDG_CACHE_HOME": "{home}/other"},
            ["{home}/other/toner_jax/xla", 0.5],
            marks=pytest.mark.slow,
        ),
        ("", {"JAX_COMPILATION_CACHE_DIR": "/mine"}, ["/mine", 1.0]),
        pytest.param(
            "",
            {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1.0"},
            ["{home}/.cache/toner_jax/xla", 1.0],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "",
            {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "7"},
            ["{home}/.cache/toner_jax/xla", 7.0],
            marks=pytest.mark.slow,
        ),
        ("import jax; jax.config.update('jax_compilation_cache_dir', '/mine')", {}, ["/mine", 1.0]),
        ("", {"HOME": "/dev/null/nobody"}, [None, 1.0]),
    ],
)
def test_compiled_programs_are_kept_unless_the_user_has_settings_of_his_own(
    pythonpath, tmp_path, first, environment, expected
):
    env = {"HOME": "{home}", **environment}
    env = {**pythonpath, "JAX_PLATFORMS": "cpu", **{k: v.format(home=tmp_path) for k, v in env.items()}}
    program = [sys.executable, "-c", CACHE.format(first=first)]
    done = subprocess.run(program, capture_output=True, text=True, check=True, env=env, cwd=tiny.ROOT)
    found = [v.format(home=tmp_path) if isinstance(v, str) else v for v in expected]
    assert json.loads(done.stdout) == found
