"""Entities of a file: `python -m toner_jax.predict --model=DIR --input=FILE.txt|.jsonl|- --output=FILE.jsonl|-`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from toner_jax.api import Ner
from toner_jax.common.console import as_utf8, show_messages
from toner_jax.errors import UserError
from toner_jax.inference.matching import checked_cosine
from toner_jax.parallel.runtime import keep_compiled_programs
from toner_jax.tasks.recognized import checked_score


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


def main(argv: list[str] | None = None) -> int:
    """The command line; exit status 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m toner_jax.predict", description="Finds entities in text."
    )
    parser.add_argument("--model", required=True, help="a finished work directory")
    parser.add_argument(
        "--input", required=True, help="FILE.txt (a text a line), FILE.jsonl, or - for lines of text"
    )
    parser.add_argument("--output", default="-", help="FILE.jsonl, or - for standard output")
    parser.add_argument(
        "--threshold",
        type=float,
        help="leave out entities with a lower score; the run's decode.threshold by default",
    )
    parser.add_argument("--type_threshold", type=float, help="δ of the type matcher; the run's by default")
    parser.add_argument("--batch", type=int, default=1024, help="sentences prepared at a time")
    arguments = parser.parse_args(argv)
    show_messages()
    keep_compiled_programs()
    try:
        _predict_file(arguments)
    except UserError as error:
        print(f"toner_jax: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _predict_file(arguments: argparse.Namespace) -> None:
    if arguments.threshold is not None:
        checked_score(arguments.threshold)  # before the output file is opened
    if arguments.type_threshold is not None:
        checked_cosine(arguments.type_threshold)
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
        entries = read_inputs(source, arguments.input, arguments.input.endswith(".jsonl"))
        _write(ner, entries, sink, arguments)


def _write(ner: Ner, entries: Iterator[dict[str, Any]], sink: IO[str], arguments: argparse.Namespace) -> None:
    """Writes each entry with its entities, a line each. Entities are written as they are found: those of a
    long text need not be in memory together."""
    waiting: deque[dict[str, Any]] = deque()

    def texts() -> Iterator[str]:
        for entry in entries:
            waiting.append(entry)
            yield entry["text"]

    begun, separator = False, ""
    a = arguments
    found = ner.stream(texts(), threshold=a.threshold, type_threshold=a.type_threshold, batch=a.batch)
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


if __name__ == "__main__":
    sys.exit(main())
