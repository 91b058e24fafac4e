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
from toner_jax.common.console import Progress, as_utf8
from toner_jax.errors import UserError

if TYPE_CHECKING:
    from toner_jax.api import Ner


def read_inputs(file: IO[str], name: str, jsonl: bool) -> Iterator[dict[str, Any]]:
    """Texts to predict, a line each: plain text, or JSON objects with a "text", whose other keys are kept.

    Raises:
      UserError: a line that is no such object, with file and line, or a file that is not UTF-8.
    """
    for number, line in enumerate(_lines(file, name), 1):
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


def _lines(file: IO[str], name: str) -> Iterator[str]:
    try:
        yield from file
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 ({error.reason}); convert it first") from error


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
    parser.add_argument(
        "--threshold",
        type=cli.number,
        help="leave out entities with a lower score; the run's decode.threshold by default",
    )
    parser.add_argument(
        "--type_threshold", type=cli.number, help="δ of the type matcher; the run's by default"
    )
    parser.add_argument("--batch", type=cli.positive, default=1024, help="sentences prepared at a time")
    return parser.read(arguments)


def _predict_file(arguments: argparse.Namespace) -> None:
    from toner_jax.api import Ner
    from toner_jax.inference.matching import checked_cosine
    from toner_jax.tasks.recognized import checked_score

    if arguments.threshold is not None:
        checked_score(arguments.threshold)  # before the output file is opened
    if arguments.type_threshold is not None:
        checked_cosine(arguments.type_threshold)
    if arguments.output != "-" and Path(arguments.output).resolve() == Path(arguments.input).resolve():
        raise UserError(f"{arguments.output}: is the input, too; give the output another file")
    with ExitStack() as files:
        try:
            source, sink = as_utf8(sys.stdin), as_utf8(sys.stdout)
            if arguments.input != "-":
                source = files.enter_context(Path(arguments.input).open(encoding="utf-8"))
            ner = Ner(arguments.model)
            if arguments.output != "-":
                sink = files.enter_context(Path(arguments.output).open("w", encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{error.filename}: cannot be opened ({error.strerror})") from error
        jsonl = arguments.input.endswith(".jsonl")
        entries = read_inputs(source, arguments.input, jsonl)
        written = _write(ner, entries, sink, arguments)
        if Path(arguments.input).is_file() and not sink.isatty():
            written = _shown(written, _count(Path(arguments.input), jsonl))
        for _ in written:
            pass


def _count(path: Path, jsonl: bool) -> int:
    """How many texts a file holds."""
    with path.open("rb") as lines:
        return sum(1 for line in lines if line.strip() or not jsonl)


def _shown(written: Iterator[None], total: int) -> Iterator[None]:
    """Passes on what it is given, and shows how far it is: a bar on a terminal; elsewhere a line now and then, and
    none where that takes only seconds."""
    with Progress("predict", total) as progress:
        for done, _ in enumerate(written, 1):
            if done < total or sys.stderr.isatty():
                progress.update(done)
            yield


def _write(
    ner: Ner, entries: Iterator[dict[str, Any]], sink: IO[str], arguments: argparse.Namespace
) -> Iterator[None]:
    """Writes each entry with its entities, a line each, and yields after it. Entities are written as they are
    found: those of a long text need not be in memory together."""
    waiting: deque[dict[str, Any]] = deque()

    def texts() -> Iterator[str]:
        for entry in entries:
            waiting.append(entry)
            yield entry["text"]

    begun, separator = False, ""
    found = ner.stream(
        texts(),
        threshold=arguments.threshold,
        type_threshold=arguments.type_threshold,
        batch=arguments.batch,
    )
    for _, spans, is_last in found:
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
            yield
