"""`--config=FILE[:variant]` and `--config.KEY=VALUE`: the configuration that a command line asks for."""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from toner_jax.common import cli
from toner_jax.errors import UserError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

_PACKAGE = Path(__file__).resolve().parents[1]


def add_no_cache(parser: cli.Parser) -> None:
    """`--no-cache`, of commands that read the data of a configuration."""
    parser.add_key_flag(
        "--no-cache", "data.cache", "False",
        "read the data anew, and keep nothing of them in the user's cache; the same as --config.data.cache=False",
    )  # fmt: skip


class Chosen(NamedTuple):
    """A configuration, and the name of its file without the suffix."""

    config: ConfigDict
    name: str


def folder() -> Path:
    """Where the configurations that come with the package are: inside it where it is installed, beside it in a
    checkout."""
    inside = _PACKAGE / "configs"
    return inside if inside.is_dir() else _PACKAGE.parent / "configs"


def names() -> list[str]:
    """What comes with the package."""
    return sorted(p.stem for p in folder().glob("*.py") if p.stem != "__init__")


def load(argument: str, keys: Iterable[tuple[str, str]]) -> Chosen:
    """Runs a configuration file, and sets keys.

    Args:
      argument: FILE.py or the name of one that comes with the package, each with `:variant` after it or not.
      keys: pairs of a key and its value as on a command line.

    Raises:
      UserError: there is no such file or variant, the file fails, or a key or its value is refused.
    """
    from toner_jax.config_keys import set_key

    path, variant = find(argument)
    config = _get_config(path, variant)
    for key, text in keys:
        check_key(config, key)
        set_key(config, key, text)
    return Chosen(config, path.stem)


def find(argument: str) -> tuple[Path, str | None]:
    """The file and the variant that `--config` names."""
    file = re.fullmatch(r"(.*\.py)(?::(.*))?", argument)
    name, variant = (
        file.groups() if file else (argument.partition(":")[0], argument.partition(":")[2] or None)
    )
    if file and Path(name).is_file():
        return Path(name), variant
    if name in names():
        return folder() / f"{name}.py", variant
    known = names()
    what = f"no such file {name}" if file else f"no configuration {name!r}"
    hint = cli.did_you_mean(Path(name).stem, known)
    raise UserError(f"--config={argument}: {what}{hint}; there are {', '.join(known)}, or a file of your own")


def _get_config(path: Path, variant: str | None) -> ConfigDict:
    """What the file's get_config returns. It is a program: whatever it raises is said in one line."""
    from ml_collections import ConfigDict

    try:
        module = _run_file(path)
        get_config = getattr(module, "get_config", None)
        if not callable(get_config):
            raise UserError(f"{path}: defines no function get_config, as those of configs/ do")
        config = get_config() if variant is None else get_config(variant)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{_where(path, error)}: {type(error).__name__}: {_reason(error)}") from error
    if not isinstance(config, ConfigDict):
        raise UserError(
            f"{path}: get_config returns {type(config).__name__}, not what toner_jax.config.base() returns"
        )
    return config.lock()


def _run_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("toner_jax_config_file", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module


def _where(path: Path, error: Exception) -> str:
    """The line of the file at which it failed, as file:line."""
    if isinstance(error, SyntaxError):
        return f"{path}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path.resolve()]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _reason(error: Exception) -> str:
    """The message in short."""
    from toner_jax.config_keys import short

    return short(error.msg if isinstance(error, SyntaxError) else str(error.args[0] if error.args else error))


def check_key(config: ConfigDict, key: str) -> None:
    """Raises UserError unless there is such a key or section, with one that looks like it."""
    from toner_jax.config_keys import flat

    known = list(flat(config))
    sections = {k.rpartition(".")[0] for k in known if "." in k}
    if key not in known and key not in sections:
        hint = cli.did_you_mean(key, known) or _in_another_section(key, known)
        raise UserError(f"{key}: no such configuration key{hint}; {cli.PROGRAM} train --keys lists them")


def _in_another_section(key: str, known: Iterable[str]) -> str:
    """A hint for `batch_size`, which is `generator.batch_size` or another."""
    same = [k for k in known if k.split(".")[-1] == key.split(".")[-1]]
    return f"; did you mean {' or '.join(same)}?" if same else ""
