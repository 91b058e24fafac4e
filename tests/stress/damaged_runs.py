"""Damages every file of a finished run in turn: one byte changed, 100 bytes cut, the file removed.

    python tests/stress/damaged_runs.py --folder=/tmp/damaged [--again]

Whatever uses the run must then name what is damaged, in one line and without a traceback, or give what the whole run
gives. The uses: loading it and predicting; reading the data that its evaluation compares with; its training's start,
which with --again goes on to its end, so that what is made anew is compared, too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tiny

import toner_jax
from toner_jax.data.sentences import dump_sentences
from toner_jax.errors import UserError
from toner_jax.runs import reevaluate, run
from toner_jax.runs.restore import read_work_config

TEXTS = ("Judge Ivan Borcalski married Professor Jaman in Selqua in 1973.", "It rained.")
RESULTS = ("predictions/dev.jsonl", "predictions/test.jsonl", "report/dev.json", "report/test.json")


def change(path: Path) -> None:
    """Another value in the middle of a file, where there is more than white space."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x04
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES: dict[str, Callable[[Path], None]] = {"changed": change, "cut": cut, "removed": Path.unlink}


def load(workdir: Path, config: Any) -> Any:
    return toner_jax.load(workdir).predict(list(TEXTS))


def data(workdir: Path, config: Any) -> Any:
    return {name: dump_sentences(s) for name, s in reevaluate.read_splits(workdir, "test").items()}


def start(workdir: Path, config: Any) -> Any:
    """What a start would do, if it is more than nothing: what was seen as damaged then."""
    with run.ready(config, workdir) as ready:
        return [name for name, action in ready.actions.items() if action != "skip"]


def again(workdir: Path, config: Any) -> Any:
    run.execute(config, workdir)
    return [(workdir / name).read_bytes() for name in RESULTS]


def damaged(whole: Path, copy: Path) -> Iterator[tuple[str, str]]:
    """(path, damage) of each, made in the copy and mended afterwards."""
    for path in sorted(p for p in whole.rglob("*") if p.is_file()):
        name = path.relative_to(whole)
        for kind, damage in DAMAGES.items():
            content = path.read_bytes()
            if kind == "removed" or content:
                damage(copy / name)
                if not (copy / name).exists() or (copy / name).read_bytes() != content:
                    yield name.as_posix(), kind
                shutil.rmtree(copy)
                shutil.copytree(whole, copy)


def judge(name: str, use: Callable[[Path, Any], Any], copy: Path, config: Any, expected: Any) -> str:
    """ "named", "mended" or "unaffected"; or what is wrong."""
    try:
        found = use(copy, config)
    except UserError as error:
        message = str(error)
        parts = name.split("/")
        step = "/".join(parts[:3]) if "checkpoints" in parts and parts[2].isdigit() else name
        if "\n" in message:
            return f"more than one line: {message!r}"
        return "named" if step in message or name in message else f"another file is named: {message}"
    except Exception as error:
        return f"traceback: {error!r}"
    if use is start:
        return "mended" if found else "unaffected"
    return "unaffected" if found == expected else "SILENTLY ANOTHER RESULT"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--again", action="store_true", help="start each run that would mend itself, too")
    parser.add_argument("--only", default="", help="paths that contain this alone")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    whole, copy, cache = folder / "whole", folder / "copy", folder / "cache"
    if not (whole / "report" / "test.json").exists():
        done = subprocess.run(tiny.command(whole), cwd=tiny.ROOT, env=tiny.environment(cache), check=False)
        assert done.returncode == 0
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    config = read_work_config(whole)
    uses = {"load": load, "data": data, "start": start}
    expected = {name: use(copy, config) for name, use in uses.items()}
    assert expected["start"] == []
    results = [(whole / name).read_bytes() for name in RESULTS]
    counts: Counter[str] = Counter()
    wrong = 0
    for name, kind in damaged(whole, copy):
        if arguments.only not in name:
            continue
        verdicts = {use: judge(name, do, copy, config, expected[use]) for use, do in uses.items()}
        if verdicts["start"] == "mended" and arguments.again:
            verdicts["again"] = judge(name, again, copy, config, results)
        counts.update(f"{use}: {verdict}" for use, verdict in verdicts.items())
        bad = {u: v for u, v in verdicts.items() if v not in ("named", "mended", "unaffected")}
        wrong += bool(bad)
        print(json.dumps([name, kind, bad or verdicts]), flush=True)
    print(*(f"{count:5} {what}" for what, count in sorted(counts.items())), sep="\n")
    print(f"{wrong} wrong")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
