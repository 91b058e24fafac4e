"""What is installed is whole."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest
import tiny


def test_every_package_is_named():
    """In pyproject.toml, which lists them one by one."""
    settings = tomllib.loads((tiny.ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {p.parent.relative_to(tiny.ROOT) for p in (tiny.ROOT / "toner_jax").rglob("__init__.py")}
    expected = {".".join(folder.parts) for folder in folders} | {"toner_jax.configs"}
    assert sorted(expected) == settings["packages"]
    assert settings["package-dir"] == {"toner_jax.configs": "configs"}


@pytest.mark.slow
def test_a_wheel_trains_in_an_empty_folder(cache):
    env = {**os.environ, "PYTHON": sys.executable, "JAX_COMPILATION_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [str(tiny.ROOT / "scripts" / "check_wheel.sh"), "--train"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("wheel: a run was trained to its report\n")
