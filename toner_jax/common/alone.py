"""Modules of a package without the package: where its `__init__` imports far more than is wanted.

They are apart from `sys.modules`, so that who imports the package itself gets all of it.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any


class Alone:
    """Loads modules of one package as they are asked for, by each other too."""

    def __init__(self, package: str):
        """Raises ImportError without the package."""
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ImportError(f"no package {package}")
        self._package, self._folder = package, Path(spec.submodule_search_locations[0])
        self._modules: dict[str, ModuleType] = {}

    def load(self, name: str) -> ModuleType:
        """A module, by its full name; of a package within it, what stands for it: none of its own names.

        Raises:
          ImportError: there is no such module, or it is not written in Python.
        """
        if name in self._modules:
            return self._modules[name]
        place = self._folder.joinpath(*name.split(".")[1:])
        module = self._modules[name] = ModuleType(name)
        module.__package__ = name if place.is_dir() else name.rpartition(".")[0]
        if not place.is_dir():
            file = place.with_suffix(".py")
            code = SourceFileLoader(name, str(file)).get_code(name)
            if code is None:
                raise ImportError(f"{file}: no source")
            module.__file__ = str(file)
            module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
            exec(code, module.__dict__)
        return module

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """What `import` means in these modules."""
        if level or name.partition(".")[0] != self._package:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self.load(name)
        for wanted in fromlist or ():
            if not hasattr(module, wanted):
                setattr(module, wanted, self.load(f"{name}.{wanted}"))
        return module if fromlist else self.load(self._package)
