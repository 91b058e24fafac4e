"""What the configuration's keys mean, from the comments of `toner_jax.config.base`, whose source is read: nothing is
imported."""

from __future__ import annotations

import ast
import io
import shutil
import textwrap
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from toner_jax.commands import config_file

_SOURCE = Path(__file__).resolve().parents[1] / "config.py"

# What most runs set, in the order they are thought of.
MOST_USED = (
    "data.dir", "data.format", "data.schema",
    "generator.checkpoint", "matcher.checkpoint", "matcher.enabled", "matcher.type_threshold",
    "generator.epochs", "generator.batch_size", "generator.learning_rate",
    "decode.threshold", "decode.grammar",
    "stages", "seed", "dtype", "tokenizer.backend", "mesh.fsdp", "sharding",
)  # fmt: skip


class Key(NamedTuple):
    """A key, its default as Python writes it, and its comment."""

    name: str
    default: str
    meaning: str


def read_keys(source: str | None = None) -> list[Key]:
    """Every key that `base()` sets, in its order; `source` stands in for the module's."""
    text = _SOURCE.read_text(encoding="utf-8") if source is None else source
    tree = ast.parse(text)
    (base,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "base")
    comments = _comments(text)
    return [key for node in base.body if isinstance(node, ast.Assign) for key in _keys_of(node, comments)]


class _Comment(NamedTuple):
    text: str
    alone: bool  # nothing else on its line


def _comments(text: str) -> dict[int, _Comment]:
    """The comment of each line that has one."""
    return {
        token.start[0]: _Comment(token.string.lstrip("# "), not token.line[: token.start[1]].strip())
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }


def _keys_of(node: ast.Assign, comments: dict[int, _Comment]) -> Iterator[Key]:
    """The keys of `c.section.name = value  # comment`, or of the lines above it that are nothing but comment."""
    target = ast.unparse(node.targets[0])
    if not target.startswith("c."):
        return
    name, line = target.removeprefix("c."), node.lineno - 1
    above: list[str] = []
    while line in comments and comments[line].alone:
        above.insert(0, comments[line].text)
        line -= 1
    last = node.end_lineno or node.lineno
    beside = [comments[n].text for n in range(node.lineno, last + 1) if n in comments]
    meaning = " ".join([*above, *beside])
    if isinstance(node.value, ast.Call):  # ConfigDict(), to be filled in, or ConfigDict({…})
        sections = [a for a in node.value.args if isinstance(a, ast.Dict)]
        for key, value in ((k, v) for s in sections for k, v in zip(s.keys, s.values, strict=True)):
            yield Key(f"{name}.{ast.literal_eval(key)}", ast.unparse(value), meaning)  # type: ignore[arg-type]
        return
    yield Key(name, ast.unparse(node.value), meaning)


def table(keys: Iterable[Key]) -> str:
    """A line or more for each key: its name and default, then its meaning."""
    width = max(60, min(110, shutil.get_terminal_size((100, 24)).columns)) - 2
    lines = []
    for key in keys:
        head = f"  {key.name} = {key.default}"
        lines += textwrap.wrap(
            f"{head:<42} {key.meaning}".rstrip(), width, subsequent_indent=" " * 43, break_on_hyphens=False,
            drop_whitespace=True,
        )  # fmt: skip
    return "\n".join(lines)


def most_used() -> list[Key]:
    by_name = {key.name: key for key in read_keys()}
    return [by_name[name] for name in MOST_USED]


def variants() -> tuple[str, ...]:
    """The variants that most configurations have."""
    for node in ast.parse(_SOURCE.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VARIANTS":
            return tuple(ast.literal_eval(node.value))
    raise AssertionError("toner_jax.config names no VARIANTS")


def describe_configs() -> str:
    """The configurations that come with the package, each with the first line of its docstring."""
    lines = []
    for name in config_file.names():
        text = (config_file.folder() / f"{name}.py").read_text(encoding="utf-8")
        first = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
        lines.append(f"  {name:<10} {first}")
        if "VARIANTS" not in text:
            lines[-1] += " No variants."
    return "\n".join(lines)


def help_text() -> str:
    """What `--help` says of configurations."""
    *models, exp, paper = variants()
    return "\n".join(
        [
            "configurations, --config=NAME[:VARIANT], or a file of your own, which is a Python program:",
            describe_configs(),
            f"  Variants: {', '.join(models)} choose the models; {exp} trains with explanations;",
            f"  {paper} undoes what the defaults add.",
            "",
            "keys, --config.KEY=VALUE; the most used ones with their defaults, which a configuration may change:",
            table(most_used()),
            "  --keys lists all.",
        ]
    )
