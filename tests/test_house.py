"""The size and shape of the code: what a reader has to hold in mind at a time."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = [p for folder in ("toner_jax", "scripts", "configs") for p in sorted((ROOT / folder).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MOST_LINES = 350
LONG_FUNCTION = 45  # lines, its docstring among them
MOST_PARAMETERS = 7  # `self` and `cls` aside
MOST_POSITIONAL = 8  # arguments of a call

# Functions that may be longer, each with its reason; at most five.
LONG: dict[str, str] = {
    "toner_jax/config.py:base": "the reference of all keys, to be read from top to bottom",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def functions(path: Path) -> Iterator[Function]:
    return (node for node in nodes(path) if isinstance(node, Function))


def name_of(path: Path, function: Function) -> str:
    return f"{path.relative_to(ROOT)}:{function.name}"


def parameters(function: Function) -> int:
    a = function.args
    names = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_a_file_is_one_idea():
    lines = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8").count("\n") for p in (*CODE, *TESTS)}
    assert {name: n for name, n in lines.items() if n > MOST_LINES} == {}


def test_no_two_test_files_have_one_name():
    """pytest imports them by it, and refuses the second."""
    counts = Counter(p.name for p in TESTS if p.name.startswith("test_"))
    assert [name for name, count in counts.items() if count > 1] == []


def test_a_function_fits_a_screen():
    long = {
        name_of(path, f)
        for path in CODE
        for f in functions(path)
        if (f.end_lineno or 0) - f.lineno + 1 > LONG_FUNCTION
    }
    assert long == set(LONG)
    assert len(LONG) <= 5


def test_a_call_can_be_read():
    many = [name_of(path, f) for path in CODE for f in functions(path) if parameters(f) > MOST_PARAMETERS]
    assert many == []
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in CODE
        for node in nodes(path)
        if isinstance(node, ast.Call) and len(node.args) > MOST_POSITIONAL
    ]
    assert calls == []


def in_package(path: Path) -> str:
    """The package of ours that a file belongs to."""
    parts = path.relative_to(ROOT).parts
    return parts[1].removesuffix(".py") if parts[0] == "toner_jax" else parts[0]


def test_only_tasks_know_the_tasks_by_name():
    """In `data`, they are keys of files."""
    names = {"ner", "tr", "exp"}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in CODE
        if in_package(path) not in ("tasks", "data")
        for node in nodes(path)
        if isinstance(node, ast.Compare | ast.match_case)
        and any(isinstance(c, ast.Constant) and c.value in names for c in ast.walk(node))
    ]
    assert found == []


def test_the_whole_configuration_goes_no_deeper_than_runs():
    above = {
        "config",
        "config_keys",
        "validation",
        "runs",
        "api",
        "experiments",
        "compiling",
        "commands",
        "configs",
    }
    found = [
        str(path.relative_to(ROOT))
        for path in CODE
        if in_package(path) not in above and "ConfigDict" in path.read_text(encoding="utf-8")
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "count"),
    [("def f(self, a, *, b): ...", 2), ("def f(a, /, b, *c, d=1, **e): ...", 3), ("def f(cls): ...", 0)],
)
def test_parameters_are_counted(source, count):
    (function,) = ast.parse(source).body
    assert parameters(function) == count
