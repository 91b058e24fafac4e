"""`toner-jax predict`: the entities of a file's texts."""

from __future__ import annotations

import argparse
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from toner_jax.commands import rows
from toner_jax.commands.model_flags import add_model, load
from toner_jax.commands.outputs.answers import OURS, Answer, Tokenize
from toner_jax.commands.outputs.form import Form
from toner_jax.commands.outputs.forms import AUTO, FORMS, JSONL
from toner_jax.commands.outputs.target import Done, Target
from toner_jax.commands.outputs.unread import Unread
from toner_jax.common import cli
from toner_jax.common.console import Progress, to_json, warn
from toner_jax.common.files import is_full, why_unwritable
from toner_jax.errors import ParameterError, UserError

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
      Ended: Ctrl-C, after which --resume goes on.
    """
    options = _read(arguments)
    from toner_jax.parallel.processes import Wanted, is_first, several, together
    from toner_jax.parallel.runtime import set_up_compilation

    set_up_compilation()
    with together(Wanted()), ExitStack() as folders:
        if several() and options.input == rows.STANDARD:
            raise UserError("--input=-: several processes read the same texts; give them a file")
        if not is_first():  # it helps to find entities, which the first one writes
            nowhere = folders.enter_context(tempfile.TemporaryDirectory())
            options.output, options.output_format, options.resume = f"{nowhere}/entities", JSONL, False
        return _predict_file(options)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser("predict", "Finds the entities of texts.", _more, takes_keys=True)
    add_model(parser)
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
    _add_output(parser)
    _add_question(parser)
    parser.add_argument(
        "--pretokenized", action="store_true",
        help="a line of a text is a sentence, and its words have white space around them",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="stop at a row that cannot be read")
    parser.add_argument(
        "--resume", action="store_true", help="go on with what an interrupted command has written"
    )
    parser.add_argument("--batch", type=cli.positive, default=1024, help="sentences prepared at a time")
    parser.add_argument(
        "--no-cache", action="store_true", help="as for train; of --input nothing is ever kept"
    )
    return parser.read(arguments)


def _add_question(parser: cli.Parser) -> None:
    """What is to be found."""
    parser.add_argument(
        "--labels", type=cli.some, metavar="NAME,…",
        help="other types to look for, or a .json or .yaml file of names and descriptions",
    )  # fmt: skip
    parser.add_argument("--flat", action="store_true", help="of entities that overlap, only the likeliest")
    parser.add_argument(
        "--explain", action="store_true",
        help="write an explanation of the entities, too: of a run that was trained with some (generator.explanations)",
    )  # fmt: skip
    parser.add_argument(
        "--threshold",
        type=cli.number,
        help="leave out entities with a lower score; the run's decode.threshold by default",
    )
    parser.add_argument(
        "--type_threshold", type=cli.number, help="δ of the type matcher; the run's by default"
    )


def _add_output(parser: cli.Parser) -> None:
    parser.add_argument(
        "--output", type=cli.some, default=rows.STANDARD, metavar="FILE",
        help="a file, or for brat a folder, there once it is complete, compressed if it is called .gz; or - for "
        "standard output",
    )  # fmt: skip
    parser.add_argument(
        "--output_format", type=cli.one_of(AUTO, *FORMS), default=AUTO,
        help="what --output becomes: jsonl, a row with its entities a line; json, an array of them; columns, IOB2; "
        "brat, a folder of .txt and .ann; docbin, spaCy's; csv, an entity a row; html, a page; auto (default) goes by "
        "its name",
    )  # fmt: skip


def _more() -> str:
    return (
        "--config.KEY=VALUE sets another value than the run's, as for evaluate.\n"
        f"Exit status {BAD_ROWS}: rows that could not be read stand in the output as errors; columns, brat and docbin\n"
        "have no room for these, and standard error names each."
    )


def _predict_file(options: argparse.Namespace) -> int:
    from toner_jax.inference.matching import checked_cosine
    from toner_jax.parallel.processes import on_first
    from toner_jax.tasks.recognized import checked_score

    if options.threshold is not None:
        checked_score(options.threshold)  # before anything is opened
    if options.type_threshold is not None:
        checked_cosine(options.type_threshold)
    if options.output != rows.STANDARD and (reason := why_unwritable(Path(options.output).parent)):
        raise UserError(f"--output={options.output}: cannot be written ({reason}); choose another place")
    labels = _labels(options.labels) if options.labels else None
    with Target(options.output, options.output_format, options.resume) as target:
        target.check_is_not(options.input)
        with ExitStack() as files:
            try:
                source = files.enter_context(rows.open_bytes(options.input))
                ner = load(options)
                _say_what_is_new(labels, ner)
                sink, done = target.open()
            except OSError as error:
                if is_full(error):
                    raise
                raise UserError(f"{error.filename}: cannot be opened ({error.strerror})") from error
            format = rows.format_of(options.input, options.format)
            written_before = on_first(lambda: done.rows)
            given = islice(rows.read_rows(source, options.input, format), written_before, None)
            tokenize = _tokenize(ner, options.pretokenized)
            target.check_kept(tokenize)
            writer = _Writer(ner, target, sink, options, labels, done)
            written = writer.write(_fitting(given, target.form, tokenize))
            total = _count(options.input, format)
            if total and not sink.isatty():
                written = _shown(written, total - written_before)
            if not sum(1 for _ in written) and not written_before:
                warn(f"{options.input}: no texts")
        target.finish(tokenize)
        return writer.finish()


def _tokenize(ner: Ner, pretokenized: bool) -> Tokenize:
    from toner_jax.text.words import lines_of_words, split_into_sentences

    return lines_of_words if pretokenized else partial(split_into_sentences, reading=ner.reading)


def _fitting(given: Iterator[rows.Row], form: Form, tokenize: Tokenize) -> Iterator[rows.Row]:
    """The rows; one that the form of output has no room for, as one that cannot be read."""
    for row in given:
        reason = "" if row.error else form.refuses(Answer(0, row.entry, ()), tokenize)
        yield rows.Row(row.entry, f"{row.location}: {reason}", row.location) if reason else row


def _labels(text: str) -> Labels:
    if text.lower().endswith((".json", ".yaml", ".yml")):
        from toner_jax.schema import read_schema

        return {t.name: t.description for t in read_schema(text).types}
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ParameterError("labels", repr(text), "not UTF-8, as text is") from None
    return cli.words(text)


def _say_what_is_new(labels: Labels | None, ner: Ner) -> None:
    """Of a type that training did not have, the models know no more than its description."""
    from toner_jax.inference.labels import read_labels

    asked = None if labels is None else read_labels(labels, ner.schema)
    bare = [asked.written[t.name] for t in asked.schema.types if not t.description] if asked else []
    if new := [label for label in bare if ner.schema.resolve(label) is None]:
        warn(f"labels that training did not have: {', '.join(new)}; a schema file as --labels describes them")


def _count(name: str, format: str) -> int:
    """How many rows a file holds, at most; 0 where that is not told by its lines."""
    if name == rows.STANDARD or format == "json" or name.lower().endswith(".gz") or not Path(name).is_file():
        return 0
    with Path(name).open("rb") as lines:
        return sum(1 for line in lines if line.strip() or format == "txt")


def _shown(written: Iterator[None], total: int) -> Iterator[None]:
    """Passes on what it is given, and shows how far it is: a bar on a terminal; elsewhere a line now and then, and
    none where that takes only seconds."""
    with Progress("predict", total, quiet_end=True) as progress:
        for done, _ in enumerate(written, 1):
            progress.update(done)
            yield


class _Writer:
    """Writes each row with its entities, a line each; one that cannot be read with its error."""

    def __init__(
        self,
        ner: Ner,
        target: Target,
        sink: IO[str],
        options: argparse.Namespace,
        labels: Labels | None,
        done: Done,
    ):
        from toner_jax.tasks.recognized import Coverage

        self._ner, self._target, self._sink = ner, target, sink
        self._options, self._labels = options, labels
        self._waiting: deque[rows.Row] = deque()
        self._bad, self._first_error = done.bad, done.first_error
        self._unread, self._nothing = done.unread, Coverage()

    def write(self, given: Iterator[rows.Row]) -> Iterator[None]:
        """Yields after each row. Entities are written as they are found: those of a long text need not be in memory
        together.

        Raises:
          UserError: with --strict, a row that cannot be read.
        """
        options = self._options
        parts = self._ner.stream(
            self._texts(given), self._labels, options.threshold, options.type_threshold, options.batch,
            flat=options.flat, explain=options.explain,
        )  # fmt: skip
        begun, coverage, separator = False, self._nothing, ""
        explanations: list[str] = []
        for part in parts:
            if not begun:
                yield from self._write_errors()
                begun, coverage, separator, explanations = True, self._nothing, "", []
                entry = _own_keys(self._waiting.popleft())
                if options.explain:
                    entry.pop("explanation", None)
                self._put(to_json(entry)[:-1] + ', "entities": [')
            for span in part.entities:
                self._put(separator + to_json(span))
                separator = ", "
            coverage += part.coverage
            explanations.append(part.explanation)
            if part.is_last:
                begun = False
                self._end(coverage, "\n".join(filter(None, explanations)))
                yield
        yield from self._write_errors()

    def finish(self) -> int:
        """Says what was not read. Returns the exit status."""
        if unread := self._unread.describe():
            warn(unread)
        if self._bad:
            count = f"{self._bad:,} row{'s' * (self._bad > 1)}"
            if self._target.form.holds_errors:
                warn(f"{self._first_error} ({count} could not be read and stand in the output with an error)")
            else:
                warn(f"{self._target.output}: {count} left out")  # each has been named
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
            self._put(to_json({**_own_keys(row), "error": row.error}) + "\n", flush=True)
            yield

    def _end(self, coverage: Coverage, explanation: str) -> None:
        said = f', "explanation": {to_json(explanation)}' if self._options.explain else ""
        said += "" if coverage.whole else f', "coverage": {to_json(coverage.to_json())}'
        self._put(f"]{said}}}\n", flush=True)
        if not coverage.whole:
            self._unread += Unread.of(coverage.to_json())

    def _put(self, text: str, flush: bool = False) -> None:
        with self._target.named():
            self._sink.write(text)
            if flush:
                self._sink.flush()


def _own_keys(row: rows.Row) -> dict[str, Any]:
    """A row's keys and values but for those that say what was found in it."""
    return {key: value for key, value in row.entry.items() if key not in OURS}


def _input(entry: dict[str, Any], pretokenized: bool) -> Text:
    """What `Ner.stream` takes of a row."""
    from toner_jax.inference.texts import PretokenizedText

    text = entry.get("text")
    if isinstance(text, str):
        return PretokenizedText(text) if pretokenized else text
    return rows.words_of(entry) or []
