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
        yield _checked(entry, f"{name}:{number}")


def _checked(entry: object, location: str) -> dict[str, Any]:
    """The row, with a text or with words, and not with both; a null is neither. Words may stand beside a text as
    character ranges, as our own files have them; the text is read then."""
    if isinstance(entry, dict):
        has_text, words = isinstance(entry.get("text"), str), _words(entry)
        if has_text and words:
            raise UserError(f'{location}: has a "text" and a list of "words"; leave out one of the two')
        if has_text or words is not None:
            return entry
    raise UserError(f'{location}: expected an object with a "text" string, or a list of "words"')


def _words(entry: dict[str, Any]) -> list[str] | None:
    """The words of a row that has a list of them."""
    for key in ("words", "tokens"):
        words = entry.get(key)
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    return None


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
                # Half of a surrogate pair has no UTF-8 form; JSON escapes it in the same way.
                path = Path(arguments.output)
                sink = files.enter_context(path.open("w", encoding="utf-8", errors="backslashreplace"))
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


def _input(entry: dict[str, Any], pretokenized: bool) -> Text:
    """What `Ner.stream` takes of a row."""
    from toner_jax.inference.texts import PretokenizedText

    text = entry.get("text")
    if isinstance(text, str):
        return PretokenizedText(text) if pretokenized else text
    return _words(entry) or []


def _write(
    ner: Ner, entries: Iterator[dict[str, Any]], sink: IO[str], arguments: argparse.Namespace
) -> Iterator[None]:
    """Writes each entry with its entities, a line each, and yields after it. Entities are written as they are
    found: those of a long text need not be in memory together. At the end says what was not read."""
    from toner_jax.tasks.recognized import Coverage

    waiting: deque[dict[str, Any]] = deque()

    def texts() -> Iterator[Text]:
        for entry in entries:
            waiting.append(entry)
            yield _input(entry, arguments.pretokenized)

    parts = ner.stream(
        texts(),
        threshold=arguments.threshold,
        type_threshold=arguments.type_threshold,
        batch=arguments.batch,
    )
    in_part, unknown, total, begun = 0, 0, Coverage(), False
    for part in parts:
        if not begun:
            begun, coverage, separator = True, Coverage(), ""
            kept = {key: value for key, value in waiting.popleft().items() if key != "entities"}
            sink.write(json.dumps(kept, ensure_ascii=False)[:-1] + ', "entities": [')
        for span in part.entities:
            sink.write(separator + json.dumps(span, ensure_ascii=False))
            separator = ", "
        coverage += part.coverage
        if part.is_last:
            sink.write("]" if coverage.whole else f'], "coverage": {json.dumps(coverage.to_json())}')
            sink.write("}\n")
            sink.flush()
            if not coverage.whole:
                in_part, total = in_part + 1, total + coverage
                unknown += coverage.mostly_unknown
            begun = False
            yield
    if in_part:
        lost = total.describe(texts_mostly_unknown=unknown)
        warn(f"not all was read of {in_part:,} text{'s' * (in_part > 1)}, whose rows have a coverage: {lost}")
