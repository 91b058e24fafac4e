"""By what a traced program is known from one process to the next: all that its trace depends on.

These are its functions and options, described value by value; the code of this package, and the versions of the
libraries that it is made with; JAX's settings; and the shapes of what it is given. Of what this cannot tell, nothing
is known.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache as memoised
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import jax
import numpy as np
import psutil

from toner_jax.common import cache
from toner_jax.common.versions import installed

_OURS = __name__.partition(".")[0]
_LIBRARIES = ("flax", "jax", "jaxlib", "ml_dtypes", "numpy")
# Whose code is told by a version, or by the digest of the package's.
_KNOWN_CODE = frozenset((*_LIBRARIES, _OURS, *sys.stdlib_module_names)) - {"__main__"}
# What is traced lies in these.
_TRACED = tuple(f"{_OURS}.{name}." for name in ("decoding", "inference", "models", "parallel"))
# But not these, of which the first reads files.
_UNTRACED = (f"{_OURS}.models.hf.", f"{_OURS}.inference.kept_programs", __name__)
_NO_MATTER = ("jax_compilation_cache", "jax_log", "jax_persistent_cache")  # how the names of settings begin


class UnknownCodeError(Exception):
    """It depends on code that nothing tells the version of."""


def program_key(
    function: Callable[..., Any], static: Mapping[str, Any], tree: Any, shapes: Sequence[Any]
) -> str:
    """A digest of what a program is made of.

    Args:
      static: what `function` is given besides arrays.
      tree, shapes: the structure of its arrays, and their `jax.typeof`.

    Raises:
      UnknownCodeError: there is no telling.
      OSError: the package's code cannot be read.
    """
    _check_code()
    settings = {k: str(v) for k, v in jax.config.values.items() if not k.startswith(_NO_MATTER)}
    made_of = described((function, dict(static)))
    return cache.digest(made_of, str(tree), list(map(repr, shapes)), settings, _code_digest())


def described(value: Any) -> Any:
    """All that a function or an option is made of, in values of JSON: equal for what computes the same by the same
    code.

    Raises:
      UnknownCodeError: there is no telling.
    """
    if value is None or type(value) in (bool, int, float, str):
        return [type(value).__name__, repr(value)]
    if isinstance(value, enum.Enum):
        return [_name(type(value)), value.name]
    if type(value) is partial:
        return ["partial", *map(described, (value.func, value.args, value.keywords))]
    if isinstance(value, np.dtype):
        return ["dtype", value.str, value.name]
    if type(value) is dict:
        return ["dict", *([described(k), described(v)] for k, v in value.items())]
    if isinstance(value, tuple | list):
        return [_name(type(value)), *map(described, value)]
    if is_dataclass(value) and not isinstance(value, type):
        # A Flax module's parent is of where it stands, not of what it computes; its name is within its parameters'.
        own = [f.name for f in fields(value) if f.name != "parent"]
        return [_name(type(value)), *([name, described(getattr(value, name))] for name in own)]
    if isinstance(value, type) or callable(value):
        return _name(value)
    raise UnknownCodeError


def _name(code: Any) -> str:
    """A class or function by its full name, of which there is one."""
    module, name = getattr(code, "__module__", None), getattr(code, "__qualname__", None)
    if module is None or name is None or not _is_known(module):
        raise UnknownCodeError
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not code:
        raise UnknownCodeError  # made within a function, of what that was given
    return f"{module}.{name}"


def _is_known(module: str) -> bool:
    return module.partition(".")[0] in _KNOWN_CODE


# The package's code.


def _check_code() -> None:
    """Raises where this process does not run what lies in the package's files: they were changed since it began, or its
    modules were."""
    files = [path.stat() for path in _files()]
    # A file that was copied has an older time of modification, not of the change of its entry.
    if not files or max(max(s.st_mtime, s.st_ctime) for s in files) >= _begun():
        raise UnknownCodeError
    for name, module in list(sys.modules.items()):
        if name.startswith(_TRACED) and not name.startswith(_UNTRACED) and not _is_original(module):
            raise UnknownCodeError


def _is_original(module: ModuleType) -> bool:
    """Whether no function or method of a module was replaced by another's, such as a user's."""
    for value in list(vars(module).values()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            inner = [v for v in vars(value).values() if isinstance(v, FunctionType)]
            if not all(_is_known(v.__module__) for v in inner if v.__module__):
                return False
        elif isinstance(value, FunctionType) and value.__module__ and not _is_known(value.__module__):
            return False
    return True


def _files() -> list[Path]:
    return sorted(cache.PACKAGE.rglob("*.py"))


@memoised
def _begun() -> float:
    """When this process began, or up to two seconds before: the system tells it to the second."""
    started: float = psutil.Process().create_time()
    return started - 1


@memoised
def _code_digest() -> str:
    """Of the package's code and the versions of what it is run with."""
    versions = [sys.version, installed(_LIBRARIES)]
    return cache.digest(versions, *(path.read_bytes() for path in _files()))
