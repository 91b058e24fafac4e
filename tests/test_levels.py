"""Imports point down the order of the packages, and heavy libraries stay where they belong.

Read from the source, so that imports inside functions count too.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import toner_jax

PACKAGE = Path(toner_jax.__file__).parent

# From the ground up, by the first part of a module's name below the package. A module may import its own package and
# those before it. The last ones are the commands; the package itself, the public face, stands above all.
ORDER = (
    "errors", "atoms", "common", "schema", "config", "config_keys", "validation", "text", "data", "tasks", "explaining",
    "losses", "parallel", "models", "pipeline", "decoding", "inference", "training", "evaluation",
    "client", "runs", "api", "spacy_component", "service", "experiments", "benchmarks", "compiling", "commands",
    "predict", "serve", "main", "__main__",
)  # fmt: skip
HOST_ONLY = (
    "errors",
    "atoms",
    "common",
    "schema",
    "config",
    "config_keys",
    "validation",
    "text",
    "data",
    "tasks",
    "explaining",
)
JAX = {"jax", "jaxlib", "flax", "optax", "orbax"}


@dataclass(frozen=True)
class Import:
    """`module` imports `target`, a dotted name.

    Attributes:
      name: what is taken from it, of `from target import name`.
      inside: the import stands in a function, so that it runs only when that is called.
      runs: it does not stand under `if TYPE_CHECKING`.
    """

    module: str
    line: int
    target: str
    name: str | None
    inside: bool
    runs: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}" + (f".{self.name}" if self.name else "")

    @property
    def library(self) -> str:
        return self.target.split(".")[0]

    @property
    def at_import_time(self) -> bool:
        return self.runs and not self.inside


def imports_of(module: str, source: str, is_package: bool = False) -> Iterator[Import]:
    """Every import of a module's source; relative ones as absolute."""

    def visit(node: ast.AST, inside: bool, runs: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name, None, inside, runs)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                kept = parts[: len(parts) - node.level + is_package]
                base = ".".join([*kept, *([base] if base else [])])
            for alias in node.names:
                yield Import(module, node.lineno, base, alias.name, inside, runs)
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checking = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for field, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    skipped = checking and field == "body"
                    yield from visit(child, inside or function, runs and not skipped)

    yield from visit(ast.parse(source), False, True)


def level(module: str) -> int:
    """The place in `ORDER` of a dotted name within the package.

    Raises:
      ValueError: a package that the order does not know.
    """
    parts = module.split(".")
    return ORDER.index(parts[1]) if len(parts) > 1 else len(ORDER)


def imported_module(found: Import) -> str:
    """The module of ours that an import reaches: `from toner_jax import losses` reaches `toner_jax.losses`."""
    whole = f"{found.target}.{found.name}" if found.target == "toner_jax" and found.name else found.target
    return whole if whole.partition(".")[2].split(".")[0] in ORDER else "toner_jax"


def upward(found: Import) -> bool:
    if found.library != "toner_jax" or (found.name or "").startswith(
        "__"
    ):  # `from toner_jax import __version__`
        return False
    return level(imported_module(found)) > level(found.module)


def package_imports() -> list[Import]:
    found: list[Import] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        found += imports_of(module, path.read_text(encoding="utf-8"), is_package)
    return found


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return package_imports()


def places(found: list[Import]) -> list[str]:
    return [str(i) for i in found]


def test_every_module_is_read(imports):
    """The checks below would pass on nothing; these imports are known to be there."""
    seen = {(i.module, i.target) for i in imports}
    assert ("toner_jax.pipeline.batching", "toner_jax.pipeline.features") in seen
    assert ("toner_jax.training.optimizer", "toner_jax.parallel.sharding") in seen
    assert ("toner_jax.text.tokenizers", "tensorflow_text") in seen
    assert {level(i.module) for i in imports} >= set(range(1, len(ORDER)))


def test_imports_point_down(imports):
    assert places([i for i in imports if upward(i)]) == []


def test_the_package_itself_imports_lazily(imports):
    """Only the standard library at import time; the rest inside functions."""
    found = [i for i in imports if i.module == "toner_jax" and i.at_import_time]
    assert places([i for i in found if i.library not in sys.stdlib_module_names]) == []


def test_modules_import_each_other_in_no_circle(imports):
    """Within a package, too."""
    modules = {i.module for i in imports} - {
        "toner_jax"
    }  # whoever imports `toner_jax.x` imports its face, too
    graph: dict[str, set[str]] = {m: set() for m in modules}
    for i in imports:
        for target in (i.target, f"{i.target}.{i.name}"):
            if i.runs and i.module in modules and target in modules:
                graph[i.module].add(target)
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError, which names one


def test_the_lower_packages_need_no_jax(imports):
    found = [i for i in imports if i.module.split(".")[1:2] in [[p] for p in HOST_ONLY] and i.library in JAX]
    assert places([i for i in found if i.runs]) == []


def test_tensorflow_stays_in_the_tokenizers(imports):
    found = [i for i in imports if i.library in ("tensorflow", "tensorflow_text")]
    assert {i.module for i in found} == {"toner_jax.text.tokenizers"}
    assert places([i for i in found if not i.inside]) == []


def test_datasets_stays_in_the_hub_reader(imports):
    found = [i for i in imports if i.library == "datasets"]
    assert places([i for i in found if i.module != "toner_jax.data.formats.hub" or not i.inside]) == []


def test_torch_is_only_a_rival(imports):
    found = [i for i in imports if i.library in ("torch", "torchvision", "torchaudio")]
    names = ("peers", "torch_epochs", "torch_matchers", "torch_trainers")
    rivals = {f"toner_jax.benchmarks.{name}" for name in names}
    assert places([i for i in found if i.module not in rivals or not i.inside]) == []


# The import itself.

PROBE = """
import json, sys, time
begun = time.perf_counter()
import toner_jax
seconds = time.perf_counter() - begun
print(json.dumps([seconds, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def test_importing_the_package_is_quick_and_light():
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    seconds, modules = json.loads(done.stdout)
    assert seconds < 1
    assert "toner_jax" in modules
    heavy = JAX | {"tensorflow", "tensorflow_text", "transformers", "datasets", "torch"}
    assert heavy & set(modules) == set()


# The checker.


def first(module: str, source: str, is_package: bool = False) -> Import:
    (found,) = imports_of(module, source, is_package)
    return found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("toner_jax.schema", "import toner_jax.losses"),
        ("toner_jax.text.words", "from toner_jax.data.find import SPLITS"),
        ("toner_jax.training.loop", "from toner_jax.evaluation import scoring"),
        ("toner_jax.text.ids", "from toner_jax.models.t5.model import T5"),
        ("toner_jax.text.ids", "from toner_jax import losses"),
        ("toner_jax.text.ids", "from toner_jax import load"),
        ("toner_jax.text.ids", "import toner_jax"),
        ("toner_jax.text.ids", "from ..pipeline import batching"),
        ("toner_jax.text.ids", "from .. import predict"),
        ("toner_jax.losses", "def f():\n    from toner_jax.parallel.sharding import P"),
        (
            "toner_jax.models.t5.model",
            "class A:\n    def f(self):\n        if True:\n            import toner_jax.decoding.search",
        ),
        (
            "toner_jax.inference.recognize",
            "try:\n    import toner_jax.runs.matcher as m\nfinally:\n    pass",
        ),
        ("toner_jax.runs.run", "from toner_jax.main import main"),
        ("toner_jax.evaluation.report", "if TYPE_CHECKING:\n    from toner_jax.runs.stage import Stage"),
    ],
)
def test_the_checker_catches_an_upward_import(module, source):
    assert upward(first(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("toner_jax.inference.recognize", "from toner_jax.parallel.mesh import shard_batch"),
        ("toner_jax.models.toner", "from .t5.model import T5"),
        ("toner_jax.runs.run", "from toner_jax import losses"),
        ("toner_jax.runs.run", "from toner_jax import __version__"),
        ("toner_jax.main", "from toner_jax.api import Ner"),
        ("toner_jax", "from toner_jax.api import Ner"),
        ("toner_jax.schema", "import jax"),
        ("toner_jax.schema", "from toner_jax_extras.stages import run"),
    ],
)
def test_the_checker_allows_the_rest(module, source):
    assert not upward(first(module, source))


@pytest.mark.parametrize(
    ("module", "is_package", "source", "target"),
    [
        ("toner_jax.text.ids", False, "from .tokenizers import A", "toner_jax.text.tokenizers"),
        ("toner_jax.text", True, "from .tokenizers import A", "toner_jax.text.tokenizers"),
        ("toner_jax.text.ids", False, "from ..schema import A", "toner_jax.schema"),
        ("toner_jax.text", True, "from ..schema import A", "toner_jax.schema"),
        ("toner_jax.text.ids", False, "from . import prompts", "toner_jax.text"),
    ],
)
def test_the_checker_resolves_relative_imports(module, is_package, source, target):
    assert first(module, source, is_package).target == target


def test_the_checker_knows_what_runs_at_import_time():
    source = """
import a
if TYPE_CHECKING:
    import b
else:
    import c
def f():
    import d
class C:
    import e
    async def g(self):
        import h
if typing.TYPE_CHECKING:
    import i
"""
    found = {i.target: i for i in imports_of("toner_jax.x", source)}
    assert sorted(found) == list("abcdehi")
    assert {name for name, i in found.items() if i.at_import_time} == {"a", "c", "e"}
    assert {name for name, i in found.items() if i.inside} == {"d", "h"}
