"""Surroundings that programs meet in containers, old terminals and other systems."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tiny
from test_levels import package_imports

from toner_jax.common import cache
from toner_jax.common.files import expanded
from toner_jax.errors import UserError
from toner_jax.models.hf.hub import resolve
from toner_jax.runs import workdir as workdirs

STRANGER = 54_321  # a user id that no system knows

# What the system says of such a user.
NO_HOME = """
import pwd
def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
"""


def run(*arguments: str, given: str = "", **more: Any) -> subprocess.CompletedProcess[bytes]:
    """A program of ours in an environment of its own; as `user`, if one is given."""
    env = {"PYTHONPATH": str(tiny.ROOT), "JAX_PLATFORMS": "cpu", **more.pop("env", {})}
    return subprocess.run(
        [sys.executable, *arguments],
        input=given.encode(),
        capture_output=True,
        env=env,
        cwd=tiny.ROOT,
        **more,
    )


PREDICT = """
import sys
from toner_jax.predict import main
sys.exit(main([f"--model={sys.argv[1]}", "--input=-"]))
"""


@pytest.mark.slow
def test_predict_knows_no_home_and_no_utf8(finished):
    """`env -i` of an unknown user, in the C locale, on an ASCII terminal: what is written is UTF-8 all the same."""
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    text = "Selqua met Zoë in Δelta ."
    done = run("-O", "-c", NO_HOME + PREDICT, str(finished[0]), given=text + "\n", env=plain)
    assert done.returncode == 0
    uncached, *others = done.stderr.splitlines()  # nothing is, for a user without a home
    assert b"compiled programs are not cached" in uncached
    assert [line for line in others if b": compiling " not in line] == []  # long enough to be told of
    (line,) = done.stdout.decode("utf-8").splitlines()
    assert json.loads(line)["text"] == text


PLAN = """
import sys
from toner_jax.main import main
sys.exit(main(["--config=configs/quickstart.py", "--dry_run", "--config.data.generated.train=40",
  "--config.data.generated.dev=8", "--config.data.generated.test=8", "--config.tokenizer.backend=hf",
  "--config.tokenizer.generator_vocab_size=300", "--config.tokenizer.matcher_vocab_size=300", "--workdir=/nowhere"]))
"""


@pytest.mark.slow
def test_a_plan_on_an_ascii_terminal_without_a_cache():
    env = {"HOME": "/dev/null/nowhere", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = run("-O", "-c", PLAN, env={**env, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert b"training shapes: " in done.stdout
    assert b"\\xd7" in done.stdout  # 128×64
    assert b"Traceback" not in done.stderr


@pytest.fixture
def no_home(monkeypatch):
    """What `Path.home` does for a user that the system does not know."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: os.fspath(path))


@pytest.mark.usefixtures("no_home")
def test_without_a_home_nothing_is_cached():
    assert cache.user_cache() is None
    cache.store("kind", "key", b"5")
    assert cache.fetch("kind", "key") is None


@pytest.mark.usefixtures("no_home")
def test_without_a_home_its_paths_are_missing_ones():
    assert expanded("~/x") == Path("~/x")
    with pytest.raises(UserError, match="'~/no/model': no such folder"):
        resolve("~/no/model")


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root becomes another user")
def test_a_home_that_may_not_be_entered(tmp_path):
    """As of a container whose HOME is root's."""
    script = (
        "import os, sys\nfrom toner_jax.common import cache\nos.setuid(int(sys.argv[1]))\n"
        "cache.store('kind', 'key', b'5')\nprint(cache.fetch('kind', 'key'))"
    )
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    done = run("-c", script, str(STRANGER), env={"XDG_CACHE_HOME": str(locked / "in")})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"None\n", b"")


# The lock of a work directory.


def test_the_lock_says_who_holds_it_and_ends(tmp_path):
    with workdirs.locked(tmp_path):
        expected = (
            rf"another run \(process {os.getpid()}\) is at work there; wait for it or choose another workdir$"
        )
        with pytest.raises(UserError, match=expected), workdirs.locked(tmp_path):
            pass
        (tmp_path / ".owner").write_text("\x00")
        with pytest.raises(UserError, match=r"\(process unknown\)"), workdirs.locked(tmp_path):
            pass
    with workdirs.locked(tmp_path):
        pass
    assert {p.name for p in tmp_path.iterdir()} <= {".lock"}


def test_a_killed_process_holds_no_lock(tmp_path):
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom toner_jax.runs.workdir import locked\n"
        "with locked(Path(sys.argv[1])):\n    os.kill(os.getpid(), 9)\n"
    )
    assert run("-c", script, str(tmp_path)).returncode == -9
    assert (tmp_path / ".owner").exists()
    with workdirs.locked(tmp_path):
        assert (tmp_path / ".owner").read_text() == str(os.getpid())


def test_a_file_system_without_locks_is_one_line(tmp_path, monkeypatch):
    def acquire(self, **_: Any) -> None:
        raise NotImplementedError("no flock here")

    monkeypatch.setattr(workdirs.FileLock, "acquire", acquire)
    expected = r"\.lock: cannot be locked \(no flock here\); choose another workdir"
    with pytest.raises(UserError, match=expected), workdirs.locked(tmp_path):
        pass


# What is imported.

# Import name → the distribution that brings it, where they differ.
DISTRIBUTIONS = {
    "absl": "absl-py", "google": "protobuf", "huggingface_hub": "huggingface-hub", "ml_collections": "ml-collections",
    "ml_dtypes": "ml-dtypes", "orbax": "orbax-checkpoint", "prometheus_client": "prometheus-client",
    "tensorflow": "tensorflow-text", "tensorflow_text": "tensorflow-text", "yaml": "pyyaml",
}  # fmt: skip
UNSEEN = {
    "flatbuffers",  # of jax.export, which does not say so
    "protobuf",  # of sentencepiece, likewise
    "nltk",  # loaded by name
    "httptools",  # of uvicorn's choosing
    "uvloop",
}


def test_what_is_imported_is_declared_and_the_other_way_round():
    project = tomllib.loads((tiny.ROOT / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> set[str]:
        return {r.split(";")[0].split(">")[0].split("[")[0].strip() for r in requirements}

    optional = project["optional-dependencies"]
    extras = names([*optional["spacy"], *optional["bench"], *optional["explain"], *optional["serve"]]) | {
        "torch"
    }
    libraries = {i.library for i in package_imports()} - set(sys.stdlib_module_names) - {"toner_jax"}
    needed = {DISTRIBUTIONS.get(name, name) for name in libraries} | UNSEEN
    assert needed == names(project["dependencies"]) | extras


UNIX_ONLY = {"fcntl", "grp", "pwd", "resource", "termios"}


def test_nothing_of_unix_alone_is_imported():
    found = [i for i in package_imports() if i.library in UNIX_ONLY]
    assert [str(i) for i in found if not (i.inside and i.module == "toner_jax.benchmarks.data")] == []


WITHOUT = """
import sys
for name in ("datasets", "matplotlib", "tensorflow", "tensorflow_text", "spacy"):
    sys.modules[name] = None
import toner_jax
from toner_jax.main import main
from toner_jax.data.formats.registry import FORMATS
from toner_jax.runs import plan, reevaluate, run
from toner_jax.runs.export import convert
print(toner_jax.load(sys.argv[1]).predict(["Selqua met Zorvel ."]) != [])
"""


@pytest.mark.slow
def test_all_but_their_own_part_does_without_optional_libraries(finished, tmp_path):
    done = run("-c", WITHOUT, str(finished[0]), env={"HOME": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True\n", b"")
