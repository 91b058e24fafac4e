"""`toner-jax predict`: the entities of a file's texts."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from toner_jax.commands import rows
from toner_jax.common import cli
from toner_jax.common.console import Progress, as_utf8, warn
from toner_jax.errors import UserError

if TYPE_CHECKING:
    from toner_jax.api import Ner
    from toner_jax.inference.labels import Labels
    from toner_jax.inference.texts import Text
    from toner_jax.tasks.recognized import Coverage

BAD_ROWS = 3  # exit status: some rows could not be read, and stand in the output as errors


def main(arguments: Sequence[str]) -> int:
    """Runs the command. Returns 0, or `BAD_ROWS`.

    Raises:
      UserError: bad input.
    """
    options = _read(arguments)
    from toner_jax.parallel.runtime import keep_compiled_programs

    keep_compiled_programs()
    return _predict_file(options)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser("predict", "Finds the entities of texts.", _more, takes_keys=True)
    parser.add_argument(
        "--model", type=cli.some, required=True, metavar="DIR",
        help="the work directory of a finished run, or a folder of save_pretrained",
    )  # fmt: skip
    parser.add_argument(
        "--input",
        type=cli.some,
        required=True,
        metavar="FILE",
        help="a file of texts, or - for standard input",
    )
    parser.add_argument(
        "--format", type=cli.one_of(*rows.FORMATS), default="auto",
        help="what --input holds: txt, a text a line; jsonl, objects with a text or with words, a line each; json, an "
        "array of them; auto (default) goes by its name, .gz aside",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=cli.some, default=rows.STANDARD, metavar="FILE",
        help="a file of JSON lines, there once it is complete; or - for standard output",
    )  # fmt: skip
    parser.add_argument(
        "--labels", type=cli.some, metavar="NAME,…",
        help="other types to look for, or a .json or .yaml file of names and descriptions",
    )  # fmt: skip
    parser.add_argument("--flat", action="store_true", help="of entities that overlap, only the likeliest")
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
        help="a line of a text is a sentence, and its words have white space around them",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="stop at a row that cannot be read")
    parser.add_argument(
        "--resume", action="store_true", help="go on with what an interrupted command has written"
    )
    parser.add_argument("--batch", type=cli.positive, default=1024, help="sentences prepared at a time")
    return parser.read(arguments)


def _more() -> str:
    return (
        "--config.KEY=VALUE sets another value than the run's, as for evaluate.\n"
        f"Exit status {BAD_ROWS}: rows that could not be read stand in the output as errors."
    )


def _predict_file(options: argparse.Namespace) -> int:
    from toner_jax.inference.matching import checked_cosine
    from toner_jax.tasks.recognized import checked_score

    if options.threshold is not None:
        checked_score(options.threshold)  # before anything is opened
    if options.type_threshold is not None:
        checked_cosine(options.type_threshold)
    _check_files(options)
    labels = _labels(options.labels) if options.labels else None
    with ExitStack() as files:
        try:
            source = files.enter_context(rows.open_bytes(options.input))
            ner = _load(options)
            sink, done = files.enter_context(_sink(options)), 0
            if options.resume:
                done = _rewind(sink)
        except OSError as error:
            raise UserError(f"{error.filename}: cannot be opened ({error.strerror})") from error
        format = rows.format_of(options.input, options.format)
        given = islice(rows.read_rows(source, options.input, format), done, None)
        writer = _Writer(ner, sink, options, labels)
        written = writer.write(given)
        total = _count(options.input, format)
        if total and not sink.isatty():
            written = _shown(written, total - done)
        for _ in written:
            pass
    if options.output != rows.STANDARD:
        _partial(options.output).replace(options.output)
    return writer.finish()


def _check_files(options: argparse.Namespace) -> None:
    """Raises:
    UserError: the output is the input, or there is nothing to resume.
    """
    source, sink = Path(options.input), Path(options.output)
    if options.output != rows.STANDARD and sink.exists() and source.exists() and sink.samefile(source):
        raise UserError(f"{options.output}: is the input, too; give the output another file")
    if options.resume and (options.output == rows.STANDARD or not _partial(options.output).is_file()):
        raise UserError(
            f"--resume: there is no {_partial(options.output)}, which an interrupted command leaves; start without it"
        )


def _partial(output: str) -> Path:
    """Where the output lies until it is complete."""
    return Path(f"{output}.partial")


def _sink(options: argparse.Namespace) -> AbstractContextManager[IO[str]]:
    if options.output == rows.STANDARD:
        return nullcontext(as_utf8(sys.stdout))
    mode = "r+" if options.resume else "w"
    # Half of a surrogate pair has no UTF-8 form; JSON escapes it in the same way.
    return _partial(options.output).open(mode, encoding="utf-8", errors="backslashreplace", newline="\n")


def _rewind(file: IO[str]) -> int:
    """Goes to the end of the last whole row, and cuts what follows. Returns how many rows there are."""
    data, at, count = file.buffer, 0, 0  # type: ignore[attr-defined]
    for line in data:
        if line.endswith(b"\n"):
            at, count = at + len(line), count + 1
    data.seek(at)
    data.truncate()
    return count


def _labels(text: str) -> Labels:
    if text.lower().endswith((".json", ".yaml", ".yml")):
        from toner_jax.schema import read_schema

        return {t.name: t.description for t in read_schema(text).types}
    return cli.words(text)


def _load(options: argparse.Namespace) -> Ner:
    from toner_jax.api import Ner

    if not options.keys:
        return Ner(options.model)
    from toner_jax.runs.reevaluate import changed_config

    return Ner(options.model, config=changed_config(Path(options.model), options.keys))


def _count(name: str, format: str) -> int:
    """How many rows a file holds, at most; 0 where that is not told by its lines."""
    if name == rows.STANDARD or format == "json" or name.lower().endswith(".gz") or not Path(name).is_file():
        return 0
    with Path(name).open("rb") as lines:
        return sum(1 for line in lines if line.strip() or format == "txt")


def _shown(written: Iterator[None], total: int) -> Iterator[None]:
    """Passes on what it is given, and shows how far it is: a bar on a terminal; elsewhere a line now and then, and
    none where that takes only seconds."""
    with Progress("predict", total) as progress:
        for done, _ in enumerate(written, 1):
            if done < total or sys.stderr.isatty():
                progress.update(done)
            yield


class _Writer:
    """Writes each row with its entities, a line each; one that cannot be read with its error."""

    def __init__(self, ner: Ner, sink: IO[str], options: argparse.Namespace, labels: Labels | None):
        from toner_jax.tasks.recognized import Coverage

        self._ner, self._sink, self._options, self._labels = ner, sink, options, labels
        self._waiting: deque[rows.Row] = deque()
        self._bad = self._in_part = self._unknown = 0
        self._first_error = ""
        self._lost = self._nothing = Coverage()

    def write(self, given: Iterator[rows.Row]) -> Iterator[None]:
        """Yields after each row. Entities are written as they are found: those of a long text need not be in memory
        together.

        Raises:
          UserError: with --strict, a row that cannot be read.
        """
        options = self._options
        parts = self._ner.stream(
            self._texts(given), self._labels, options.threshold, options.type_threshold, options.batch,
            flat=options.flat,
        )  # fmt: skip
        begun, coverage, separator = False, self._nothing, ""
        for part in parts:
            if not begun:
                yield from self._write_errors()
                begun, coverage, separator = True, self._nothing, ""
                entry = self._waiting.popleft().entry
                kept = {key: value for key, value in entry.items() if key != "entities"}
                self._sink.write(json.dumps(kept, ensure_ascii=False)[:-1] + ', "entities": [')
            for span in part.entities:
                self._sink.write(separator + json.dumps(span, ensure_ascii=False))
                separator = ", "
            coverage += part.coverage
            if part.is_last:
                begun = False
                self._end(coverage)
                yield
        yield from self._write_errors()

    def finish(self) -> int:
        """Says what was not read. Returns the exit status."""
        if self._in_part:
            lost = self._lost.describe(texts_mostly_unknown=self._unknown)
            texts = f"{self._in_part:,} text{'s' * (self._in_part > 1)}"
            warn(f"not all was read of {texts}, whose rows have a coverage: {lost}")
        if self._bad:
            count = f"{self._bad:,} row{'s' * (self._bad > 1)}"
            warn(f"{self._first_error} ({count} could not be read and stand in the output with an error)")
        return BAD_ROWS if self._bad else cli.OK

    def _texts(self, given: Iterator[rows.Row]) -> Iterator[Text]:
        for row in given:
            if row.error and self._options.strict:
                raise UserError(row.error)
            self._waiting.append(row)
            if not row.error:
                yield _input(row.entry, self._options.pretokenized)

    def _write_errors(self) -> Iterator[None]:
        while self._waiting and self._waiting[0].error:
            row = self._waiting.popleft()
            self._bad, self._first_error = self._bad + 1, self._first_error or row.error
            self._sink.write(json.dumps({**row.entry, "error": row.error}, ensure_ascii=False) + "\n")
            self._sink.flush()
            yield

    def _end(self, coverage: Coverage) -> None:
        self._sink.write("]" if coverage.whole else f'], "coverage": {json.dumps(coverage.to_json())}')
        self._sink.write("}\n")
        self._sink.flush()
        if not coverage.whole:
            self._in_part, self._lost = self._in_part + 1, self._lost + coverage
            self._unknown += coverage.mostly_unknown


def _input(entry: dict[str, Any], pretokenized: bool) -> Text:
    """What `Ner.stream` takes of a row."""
    from toner_jax.inference.texts import PretokenizedText

    text = entry.get("text")
    if isinstance(text, str):
        return PretokenizedText(text) if pretokenized else text
    return rows.words_of(entry) or []
