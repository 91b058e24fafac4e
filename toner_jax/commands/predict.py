"""`toner-jax predict`: the entities of a file's texts."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from toner_jax.common import cli
from toner_jax.errors import UserError

if TYPE_CHECKING:
    from toner_jax.api import Ner


def read_inputs(file: IO[str], name: str, jsonl: bool) -> Iterator[dict[str, Any]]:
    """Texts to predict, a line each: plain text, or JSON objects with a "text", whose other keys are kept.

    Raises:
      UserError: a line that is no such object, with file and line.
    """
    for number, line in enumerate(file, 1):
        if not jsonl:
            yield {"text": line.rstrip("\n")}
            continue
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise UserError(f"{name}:{number}: not JSON ({error})") from error
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            raise UserError(f'{name}:{number}: expected an object with a "text" string')
        yield entry


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
    """
    options = _read(arguments)
    from toner_jax.parallel.runtime import keep_compiled_programs

    keep_compiled_programs()
    _predict_file(options)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser("predict", "Finds the entities of texts.")
    parser.add_argument(
        "--model", type=cli.some, required=True, metavar="DIR",
        help="the work directory of a finished run, or a folder of save_pretrained",
    )  # fmt: skip
    parser.add_argument(
        "--input", type=cli.some, required=True, metavar="FILE",
        help="FILE.txt (a text a line), FILE.jsonl (objects with a text), or - for lines of text",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=cli.some, default="-", metavar="FILE", help="FILE.jsonl, or - for standard output"
    )
    parser.add_argument("--min_score", type=cli.number, help="leave out entities with a lower score")
    parser.add_argument("--batch", type=cli.positive, default=1024, help="sentences prepared at a time")
    return parser.read(arguments)


def _predict_file(arguments: argparse.Namespace) -> None:
    from toner_jax.api import Ner, checked_score

    if arguments.min_score is not None:
        checked_score(arguments.min_score)  # before the output file is begun
    with ExitStack() as files:
        try:
            source, sink = sys.stdin, sys.stdout
            if arguments.input != "-":
                source = files.enter_context(Path(arguments.input).open(encoding="utf-8"))
            ner = Ner(arguments.model)
            if arguments.output != "-":
                sink = files.enter_context(Path(arguments.output).open("w", encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{error.filename}: cannot be opened ({error.strerror})") from error
        entries = read_inputs(source, arguments.input, arguments.input.endswith(".jsonl"))
        _write(ner, entries, sink, arguments.batch, arguments.min_score)


def _write(
    ner: Ner, entries: Iterator[dict[str, Any]], sink: IO[str], batch: int, least: float | None
) -> None:
    """Writes each entry with its entities, a line each. Entities are written as they are found: those of a
    long text need not be in memory together."""
    waiting: deque[dict[str, Any]] = deque()

    def texts() -> Iterator[str]:
        for entry in entries:
            waiting.append(entry)
            yield entry["text"]

    begun, separator = False, ""
    for _, spans, is_last in ner.stream(texts(), min_score=least, batch=batch):
        if not begun:
            entry = {key: value for key, value in waiting.popleft().items() if key != "entities"}
            sink.write(json.dumps(entry, ensure_ascii=False)[:-1] + ', "entities": [')
            begun, separator = True, ""
        for span in spans:
            sink.write(separator + json.dumps(span, ensure_ascii=False))
            separator = ", "
        if is_last:
            sink.write("]}\n")
            sink.flush()
            begun = False
