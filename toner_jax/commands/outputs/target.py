"""Where entities are written to: as JSON lines first, and once all are there, in the form that was asked for."""

from __future__ import annotations

import gzip
import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from toner_jax.commands.outputs.answers import OURS, Answers, Tokenize
from toner_jax.commands.outputs.forms import FORMS, JSONL, form_of
from toner_jax.commands.outputs.unread import Unread
from toner_jax.commands.rows import STANDARD
from toner_jax.common import cli
from toner_jax.common.console import STDOUT, as_utf8, for_terminal, standard_output, warn
from toner_jax.common.files import naming, remove, remove_leftovers, unfinished, why_unwritable
from toner_jax.errors import UserError


class Done(NamedTuple):
    """What an interrupted command has written: its rows, those that could not be read and the first one's error, and
    what was not read of others."""

    rows: int = 0
    bad: int = 0
    first_error: str = ""
    unread: Unread = Unread()


class Target:
    """The output of a command.

    Its rows lie in `OUTPUT.partial` as JSON lines until all are there; `--resume` goes on with that, whatever the form.
    On standard output, a device or a pipe, JSON lines come as they are found, other forms at the end.
    """

    def __init__(self, output: str, form: str, resume: bool):
        """Args:
          output: a path, or - for standard output.
          form: as `form_of` takes it.

        Raises:
          UserError: the form is not known, is none for such an output, or its library is missing; there is no room for
            the output; or nothing to resume.
        """
        self.output, self._name, self._resume = output, form_of(output, form), resume
        self.form = FORMS[self._name]
        # A link stays one; what it leads to is written.
        given = Path(output)
        self._streams = output == STANDARD or (given.exists() and not given.is_file() and not given.is_dir())
        # Of a pipe's name below /dev there is no such path.
        self._path = given if self._streams else Path(os.path.realpath(output))
        self._compressed = not self._streams and output.lower().endswith(".gz")
        self._lines = self._path.with_name(f"{self._path.name}.partial")
        self._sink: io.TextIOWrapper | None = None
        self._files = ExitStack()
        self._check()
        self.form.check(output)

    def _check(self) -> None:
        output, form = self.output, self.form
        if form.write_path and (self._streams or self._compressed):
            what = "a file that is compressed" if self._compressed else "standard output, a device or a pipe"
            raise UserError(f"{output}: {self._name} is not written to {what}; give it another output")
        if self._streams:
            if self._resume:
                raise UserError(f"--resume: {output} is no file; an output to go on with is one")
            return
        if self._path.is_dir() and not form.is_folder:
            raise UserError(f"{output}: is a folder, which only brat is; give the output a file")
        if form.is_folder and self._path.exists() and (self._path.is_file() or any(self._path.iterdir())):
            raise UserError(f"{output}: not an empty folder; give a new one")
        if reason := why_unwritable(self._path.parent):
            raise UserError(f"{output}: cannot be written ({reason}); choose another place")
        if self._resume and not self._lines.is_file():
            raise UserError(
                f"--resume: there is no {self._lines}, which an interrupted command leaves; start without it"
            )
        if not self._resume and self._lines.exists() and not _is_ours(self._lines):
            raise UserError(
                f"{self._lines}: is in the way of what is written there until {output} is complete, and no rows of an "
                "interrupted command; move it, or give the output another name"
            )

    def check_is_not(self, source: str) -> None:
        """Raises:
        UserError: the output is that file, under whatever name.
        """
        given = Path(source)
        if not self._streams and given.exists():
            for path in (self._path, self._lines):
                if path.exists() and path.samefile(given):
                    raise UserError(f"{self.output}: is the input, too; give the output another file")

    def check_kept(self, tokenize: Tokenize) -> None:
        """Raises:
        UserError: with `--resume`, a row that was written before has no room in this form.
        """
        for answer in Answers(self._lines, tokenize).read() if self._resume else ():
            if reason := self.form.refuses(answer, tokenize):
                raise UserError(f"{self._lines}:{answer.number}: {reason}")

    def __enter__(self) -> Target:
        """Raises, on leaving:
        Ended: Ctrl-C, after which --resume goes on.
        """
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            with naming(self._lines):
                self._files.close()
        except OSError:
            if error is None:  # or else closing fails for the same reason
                raise
        if isinstance(error, KeyboardInterrupt) and not self._streams and self._lines.is_file():
            raise cli.Ended(cli.INTERRUPTED, "interrupted; the same command goes on with --resume") from None

    def open(self) -> tuple[IO[str], Done]:
        """What takes the JSON lines, which is closed with the target, and with `--resume` what stands in it.

        Raises:
          OSError: it cannot be opened, or is closed.
        """
        if self.output == STANDARD:
            with standard_output() as stream:
                if self._name == JSONL:
                    return as_utf8(stream), Done()
        path = self._lines
        if not self._streams:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self._path, "writing")
            if not self._resume and self._lines.exists() and self._lines.stat().st_size:
                warn(f"{self._lines}: rows of an interrupted command, found anew; --resume goes on with them")
        if self._streams and self._name == JSONL:
            path = self._path
        elif self._streams:
            # Not a temporary file, which some systems open but once.
            path = self._lines = Path(self._files.enter_context(tempfile.TemporaryDirectory())) / "lines"
        data = self._files.enter_context(path.open("r+b" if self._resume else "wb"))
        done = _rewind(data) if self._resume else Done()
        self._sink = self._files.enter_context(_text(data))
        return self._sink, done

    def finish(self, tokenize: Tokenize) -> None:
        """All rows are there: gives them their form, and the output its name. Says which rows the form has no room for.

        Args:
          tokenize: reads a text as the prediction did.
        """
        if self._sink is None:
            return  # standard output
        with self.named():
            self._sink.flush()
        if self._streams and self._name == JSONL:
            return
        answers = Answers(self._lines, tokenize)
        if not self.form.holds_errors:
            for answer in answers:
                if answer.error:
                    warn(answer.error)
        if self._streams:
            self._stream(answers)
            return
        self._sink.close()
        if self._name == JSONL and not self._compressed:
            self._lines.replace(self._path)
            return
        written = unfinished(self._path, "writing")
        try:
            with naming(self._path):
                self._write(answers, written)
            if self._path.is_dir():
                self._path.rmdir()  # an empty one
            written.replace(self._path)
        finally:
            remove(written)
        self._lines.unlink()

    def named(self) -> AbstractContextManager[None]:
        """Within, an error of writing rows names where they go to."""
        if self.output == STANDARD:
            return naming(STDOUT)
        return naming(self._path if self._streams else self._lines)

    def _write(self, answers: Answers, path: Path) -> None:
        if self.form.write_path:
            self.form.write_path(answers, path)
        elif self.form.write_text:
            with self._text(path) as file:
                self.form.write_text(answers, file)

    def _stream(self, answers: Answers) -> None:
        if not self.form.write_text:
            raise TypeError(f"{self._name} is no text")
        if self.output == STANDARD:
            with standard_output() as stream:
                self.form.write_text(answers, for_terminal(as_utf8(stream)))
        else:
            with naming(self._path), _text(self._path.open("wb")) as file:
                self.form.write_text(answers, file)

    @contextmanager
    def _text(self, path: Path) -> Iterator[io.TextIOWrapper]:
        with ExitStack() as files:
            file: IO[bytes] = files.enter_context(path.open("wb"))
            if self._compressed:
                # Without the time and the name that gzip would put in, the same entities make the same file.
                file = cast("IO[bytes]", files.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0)))
            yield files.enter_context(_text(file))


def _text(file: IO[bytes]) -> io.TextIOWrapper:
    """UTF-8 as it is written, line ends too. Half of a surrogate pair has no UTF-8 form; JSON escapes it in the same
    way."""
    return io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")


def _rewind(file: IO[bytes]) -> Done:
    """Goes to the end of the last whole row, and cuts what follows."""
    done, at = Done(), 0
    for line in file:
        row = _row(line)
        if row is None:  # the last one, or what a machine left that lost its power
            break
        at += len(line)
        error, unread = row.get("error", ""), done.unread
        if coverage := row.get("coverage"):
            unread = unread + Unread.of(coverage)
        done = Done(done.rows + 1, done.bad + bool(error), done.first_error or error, unread)
    file.seek(at)
    file.truncate()
    return done


def _row(line: bytes) -> dict[str, Any] | None:
    """A whole row with its end; None of anything else."""
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _is_ours(path: Path) -> bool:
    """Whether a file begins with a row that a command has written, or is one that it had just opened."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        line = file.readline()
    row = _row(line)
    return (
        row is not None and not row.keys().isdisjoint(OURS)
        if line.endswith(b"\n")
        else line[:1] in (b"", b"{")
    )
