"""What README and docs show: programs, flags, keys, links and files exist, and the quick commands run."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from tiny import ROOT

from toner_jax import config as configuration
from toner_jax import config_keys
from toner_jax.errors import UserError
from toner_jax.predict import main as predict

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
# Records of what was measured once, with the commands of then.
RECORDS = {"docs/parity.md", "docs/results.md", "docs/benchmarks/decode.md"}

# Where the flags of `toner-jax COMMAND` are defined.
FLAGS = {
    "train": ("toner_jax/main.py",),
    "predict": ("toner_jax/predict.py",),
    "serve": ("toner_jax/serve.py",),
    "evaluate": ("scripts/evaluate.py",),
    "compare": ("scripts/compare.py",),
    "runs": ("scripts/runs.py",),
    "ablate": ("scripts/ablate.py",),
    "sweep": ("scripts/sweep_threshold.py",),
    "reproduce": ("scripts/reproduce.py",),
    "explain": ("scripts/explain.py",),
    "stats": ("scripts/dataset_stats.py",),
    "schema": ("scripts/infer_schema.py",),
    "convert": ("scripts/convert_checkpoint.py",),
    "compile": ("scripts/compile.py",),
    "bench": ("scripts/benchmark.py", "scripts/benchmarks/decode.py", "scripts/benchmarks/data.py"),
}


class Line(NamedTuple):
    """A command of a page; `at` is page:line."""

    at: str
    words: tuple[str, ...]
    before: str  # the block's lines above it


def shell_lines(page: Path, root: Path = ROOT) -> list[Line]:
    """The commands in a page's blocks without a language, continued lines joined, comments left out."""
    found: list[Line] = []
    name, block, start = page.relative_to(root), None, 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            block = [] if block is None and line == "```" else None if block is not None else ["skip"]
            continue
        if block is None or block[:1] == ["skip"]:
            continue
        start = start or number
        block.append(line)
        if not line.endswith("\\"):
            text = "".join(part.removesuffix("\\") for part in block[-1 - (number - start) :])
            if words := shlex.split(text, comments=True):
                found.append(Line(f"{name}:{start}", tuple(words), "\n".join(block[: -1 - (number - start)])))
            start = 0
    return found


LINES = [line for page in PAGES if str(page.relative_to(ROOT)) not in RECORDS for line in shell_lines(page)]


def defined_flags(command: str) -> set[str]:
    """The flags that a command's source defines, with absl or argparse."""
    new = ROOT / "toner_jax" / "commands" / f"{command}.py"
    files = (
        [new, new.with_name("model_flags.py"), *(ROOT / "toner_jax/benchmarks").glob("*.py")]
        if new.is_file()
        else [ROOT / f for f in FLAGS[command]]
    )
    flags: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                names = [
                    a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
                ]
                if node.func.attr == "add_argument":
                    flags |= {n for n in names if n.startswith("--")}
                elif node.func.attr.startswith("DEFINE_"):
                    flags |= {f"--{n}" for n in names[:1]}
    return flags


def check_toner_jax(words: tuple[str, ...]) -> None:
    command, *rest = words
    assert command in FLAGS
    known, config = defined_flags(command), configuration.base()
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag.startswith("--config."):
            check_key(config, flag.removeprefix("--config."), value)
        elif word.startswith("--"):
            assert flag in known, f"{flag}: toner-jax {command} has {sorted(known)}"
        else:
            assert command in ("bench", "compare", "runs"), word
        if flag == "--config" and equals:
            check_config(value)


def check_key(config, key: str, value: str) -> None:
    old = config_keys.get(config, key)
    if key not in configuration.NUMBERS_OR and not isinstance(old, str):
        assert isinstance(ast.literal_eval(value), type(old)), f"{key}={value}"
    elif value != configuration.NUMBERS_OR.get(key, value):
        assert isinstance(ast.literal_eval(value), int | float)


def check_config(value: str) -> None:
    path, _, variant = value.partition(":")
    file = ROOT / path if path.endswith(".py") else ROOT / "configs" / f"{path}.py"
    names: dict = {}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)
    names["get_config"](variant or None)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.at)
def test_a_command_exists(line):
    check(line)


def check(line: Line) -> None:
    program, *rest = line.words
    if scripts := [i for i, word in enumerate(line.words) if word.startswith("scripts/cluster/")]:
        assert (ROOT / line.words[scripts[0]]).is_file()
        check_toner_jax(("train", *line.words[scripts[0] + 1 :]))
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(rest) <= set(targets)
    elif program == "toner-jax":
        check_toner_jax(tuple(rest))
    elif program == ".venv/bin/python" and rest[:2] == ["-m", "pip"]:
        assert rest[2] == "install"
    elif program == ".venv/bin/python":
        assert (ROOT / rest[0]).is_file()
    else:  # a program that is not ours is installed by the line above
        assert f"pip install {program}" in line.before, program


@pytest.mark.parametrize(
    "text",
    [
        "toner-jax guess --model=x",
        "toner-jax predict --model=x --min_score=0.5",
        "toner-jax train --config=configs/nothing.py",
        "toner-jax train --config=configs/custom.py:scratch,large",
        "toner-jax train --config.matcher.threshold=0.5",
        "toner-jax train --config.matcher.type_threshold=often",
        "toner-jax train --config.generator.epochs=many",
        "make everything",
        ".venv/bin/python scripts/nothing.py",
        "tensorboard --logdir=x",
    ],
)
def test_a_command_that_does_not_exist_is_found(tmp_path, text):
    (tmp_path / "page.md").write_text(
        f"Words.\n\n```\n{text[:12]}\\\n{text[12:]}  # why\n```\n", encoding="utf-8"
    )
    (line,) = shell_lines(tmp_path / "page.md", tmp_path)
    assert (line.at, line.words) == ("page.md:4", tuple(shlex.split(text)))
    with pytest.raises((AssertionError, UserError, OSError, ValueError)):
        check(line)


def test_the_pages_show_the_commands():
    shown = {line.words[1] for line in LINES if line.words[0] == "toner-jax"}
    assert shown == set(FLAGS)
    programs = {line.words[0] for line in LINES if "=" not in line.words[0]}
    assert programs == {"make", "toner-jax", ".venv/bin/python", "tensorboard", "sbatch"}


SECTIONS = "|".join(name for name, value in configuration.base().items() if hasattr(value, "items"))


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda p: p.name)
def test_keys_in_the_text_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{SECTIONS})\.[a-z_.]+)`", text) + re.findall(r"--config\.([a-z_.]+)", text)
    for key in named:
        if not key.endswith((".py", ".md", ".json")):
            config_keys.get(configuration.base(), key)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_files_exist(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        if not target.startswith("http"):
            file = page.parent / path if path else page
            assert file.exists(), target
            headings = (
                re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
            )
            anchors = [
                re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings
            ]  # as GitHub has them
            assert not anchor or anchor in anchors, target
    if page.name == "CONTRIBUTING.md":
        for path in re.findall(r"`((?:toner_jax|tests|scripts)/[\w/.]+)`", text):
            assert "NAME" in path or (ROOT / path).exists(), path


def test_the_page_of_keys_is_current():
    program = [sys.executable, str(ROOT / "scripts/make_configuration.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    named = re.findall(
        r"^\| `([\w.]+)` \|", (ROOT / "docs/configuration.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(named) == sorted(leaves(configuration.base()))


def leaves(config, prefix=""):
    for name, value in config.items():
        yield from leaves(value, f"{prefix}{name}.") if hasattr(value, "items") else [prefix + name]


def test_what_ci_runs_is_what_pre_commit_runs():
    yaml = pytest.importorskip("yaml")
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in repo["hooks"]] == re.findall(
        r"\$\(BIN\)/(.*)", lint
    )


def test_the_citation_names_the_paper():
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["cff-version"], citation["version"]) == ("1.2.0", project["version"])
    assert [a["family-names"] for a in citation["preferred-citation"]["authors"]] == [
        "Jiang", "Luo", "Shi", "Wang", "Liang", "Yang",
    ]  # fmt: skip


# The quick ones, on a finished tiny run.


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_python_of_the_readme_runs(finished):
    (code,) = blocks(ROOT / "README.md", "python")
    names: dict = {}
    exec(code.replace("runs/quickstart", str(finished[0])), names)
    (found,) = names["ner"].predict(["The Ajax sank ."], threshold=1.0)
    assert found == []


def test_the_prediction_of_the_readme_runs(finished, tmp_path):
    (line,) = [
        x
        for x in LINES
        if x.words[:3] == ("toner-jax", "predict", "--model=runs/quickstart") and x.at.startswith("README")
    ]
    texts = tmp_path / "texts.txt"
    texts.write_text("Judge Ivan Borcalski came to Selqua .\n", encoding="utf-8")
    moved = {
        "runs/quickstart": finished[0],
        "texts.txt": texts,
        "entities.jsonl": tmp_path / "entities.jsonl",
    }
    arguments = [
        f"{flag}={moved.get(value, value)}" for flag, _, value in (w.partition("=") for w in line.words[2:])
    ]
    assert predict(arguments) == 0
    (entry,) = (tmp_path / "entities.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(e["score"] >= 0.5 for e in json.loads(entry)["entities"])


def test_the_examples_of_json_are_what_they_say(tmp_path):
    from toner_jax.data.formats.jsonl import read_jsonl
    from toner_jax.schema import Schema

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (record,) = re.findall(r'`(\{"text": "Ajax.*?\]\})`', text)
    (schema,) = re.findall(r'`(\{"name": "ships".*?\]\})`', text)
    (shown,) = blocks(ROOT / "docs/data.md", "json")
    for value in (schema, shown):
        types = Schema.from_json(json.loads(value), "README")
        (tmp_path / "train.jsonl").write_text(record + "\n", encoding="utf-8")
        (sentence,) = read_jsonl(tmp_path / "train.jsonl", types, split="train").sentences
        assert [(sentence.surface(e), e.type) for e in sentence.entities] == [("Ajax", "vessel")]
