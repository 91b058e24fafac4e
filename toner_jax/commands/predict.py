"""`toner-jax predict`: the entities of a file's texts."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from toner_jax.common import cli
from toner_jax.common.console import Progress, as_utf8, warn
from toner_jax.errors import UserError

if TYPE_CHECKING:
    from toner_jax.api import Ner
    from toner_jax.inference.texts import Text


def read_inputs(file: IO[str], name: str, jsonl: bool) -> Iterator[dict[str, Any]]:
    """Texts to predict, a line each: plain text, or JSON objects with a "text" or a list of "words", whose other keys
    are kept.

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
        if not isinstance(entry, dict) or not (isinstance(entry.get("text"), str) or _are_words(entry)):
            raise UserError(f'{name}:{number}: expected an object with a "text" string, or a list of "words"')
        yield entry


def _are_words(entry: dict[str, Any]) -> bool:
    words = entry.get("words", entry.get("tokens"))
    return isinstance(words, list) and all(isinstance(word, str) for word in words)


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
        help="FILE.txt (a text a line), FILE.jsonl (objects with a text, or with words), or - for lines of text",
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
    parser.add_argument(
        "--pretokenized", action="store_true",
        help="each text is one sentence, and its words have white space around them",
    )  # fmt: skip
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


@dataclass
class _Row:
    """An input and what is to be predicted of it.

    Attributes:
      entry: what its line holds.
      words: of a text that is taken as words, their character ranges.
    """

    entry: dict[str, Any]
    words: list[tuple[int, int]] | None = None

    def input(self) -> Text:
        """What `Ner.stream` takes."""
        if "text" not in self.entry:
            words: list[str] = self.entry["words" if "words" in self.entry else "tokens"]
            return words
        text: str = self.entry["text"]
        return text if self.words is None else [text[a:b] for a, b in self.words]

    def placed(self, span: dict[str, Any]) -> dict[str, Any]:
        """An entity in characters, if the input is a text."""
        if self.words is None:
            return span
        start, end = self.words[span["start"]][0], self.words[span["end"] - 1][1]
        return {**span, "start": start, "end": end, "text": self.entry["text"][start:end]}


def _row(entry: dict[str, Any], pretokenized: bool) -> _Row:
    if pretokenized and "text" in entry:
        return _Row(entry, [m.span() for m in re.finditer(r"\S+", entry["text"])])
    return _Row(entry)


def _write(
    ner: Ner, entries: Iterator[dict[str, Any]], sink: IO[str], arguments: argparse.Namespace
) -> Iterator[None]:
    """Writes each entry with its entities, a line each, and yields after it. Entities are written as they are
    found: those of a long text need not be in memory together. At the end says what was not read."""
    from toner_jax.tasks.recognized import Coverage

    waiting: deque[_Row] = deque()

    def texts() -> Iterator[Text]:
        for entry in entries:
            waiting.append(_row(entry, arguments.pretokenized))
            yield waiting[-1].input()

    parts = ner.stream(
        texts(),
        threshold=arguments.threshold,
        type_threshold=arguments.type_threshold,
        batch=arguments.batch,
    )
    texts_in_part, total, row = 0, Coverage(), None
    for part in parts:
        if row is None:
            row, coverage, separator = waiting.popleft(), Coverage(), ""
            kept = {key: value for key, value in row.entry.items() if key not in ("entities", "info")}
            sink.write(json.dumps(kept, ensure_ascii=False)[:-1] + ', "entities": [')
        for span in part.entities:
            sink.write(separator + json.dumps(row.placed(span), ensure_ascii=False))
            separator = ", "
        coverage += part.coverage
        if part.is_last:
            sink.write("]" if coverage.whole else f'], "info": {json.dumps(coverage.to_json())}')
            sink.write("}\n")
            sink.flush()
            if not coverage.whole:
                texts_in_part, total = texts_in_part + 1, total + coverage
            row = None
            yield
    if texts_in_part:
        warn(
            f"not all was read of {texts_in_part:,} text{'s' * (texts_in_part > 1)}, whose rows have an info: "
            f"{total.describe()}"
        )
