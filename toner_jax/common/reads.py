"""Reading files, with a record of all that was looked at: whether a result that was cached would be read alike.

Every reader of data asks here what is there and what it holds. A record has each question with its answer, those of
files that are absent too, so that the same questions asked again tell whether anything has changed, whichever way:
contents count, not times and sizes, which copies keep.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

import xxhash

from toner_jax.errors import UserError

_BLOCK = 1 << 20  # bytes
_ALL = -1  # of a file, not only its first bytes

# What is asked, of which paths and how, as JSON has it.
Question = tuple[Any, ...]


class Record:
    """What was asked of the file system.

    Attributes:
      answers: each question with its answer.
      whole: whether that is all that was read, and nothing changed meanwhile.
    """

    def __init__(self) -> None:
        self.answers: dict[Question, Any] = {}
        self.whole = True

    def add(self, question: Question, answer: Any) -> None:
        """An answer; another one than before tells of a change."""
        self.whole &= self.answers.setdefault(question, answer) == answer

    def to_json(self) -> list[tuple[Question, Any]]:
        """What `still_holds` takes, after JSON too."""
        return list(self.answers.items())


_record: ContextVar[Record | None] = ContextVar("record", default=None)


@contextmanager
def recorded() -> Iterator[Record]:
    """Within, all that is asked here is recorded."""
    token = _record.set(record := Record())
    try:
        yield record
    finally:
        _record.reset(token)


def read_unrecorded() -> None:
    """Says that a library reads on its own: the record is not whole."""
    if record := _record.get():
        record.whole = False


def still_holds(answers: Iterable[Sequence[Any]]) -> bool:
    """Whether every question of a record has its answer still."""
    try:
        return all(_ask(*question) == answer for question, answer in answers)
    except OSError:  # a folder that may not be entered any more
        return False


def _noted(*question: Any) -> Any:
    answer = _ask(*question)
    _note(question, answer)
    return answer


def _note(question: Question, answer: Any) -> None:
    if record := _record.get():
        record.add(question, answer)


def _ask(what: str, *arguments: Any) -> Any:
    return _ANSWERS[what](*arguments)


# Contents.


def read(path: Path) -> bytes:
    """A file's bytes.

    Raises:
      OSError: it cannot be read; a device or a pipe is not even opened.
    """
    return _read(path, _ALL)


def read_head(path: Path, size: int) -> bytes:
    """A file's first bytes, so many or all; raises as `read`."""
    return _read(path, size)


def _read(path: Path, size: int) -> bytes:
    question = ("content", str(path), size)
    try:
        with _opened(path) as file:
            data = file.read(size)
    except OSError as error:
        _note(question, _failure(error))
        raise
    _note(question, xxhash.xxh3_128_hexdigest(data))
    return data


def _content(path: str, size: int) -> str:
    """The digest of what `_read` gives, without holding it all."""
    total = xxhash.xxh3_128()
    try:
        with _opened(path) as file:
            if size != _ALL:
                total.update(file.read(size))
            else:
                while block := file.read(_BLOCK):
                    total.update(block)
    except OSError as error:
        return _failure(error)
    return total.hexdigest()


def _failure(error: OSError) -> str:
    return f"error {error.errno}"


def _opened(path: str | Path) -> IO[bytes]:
    mode = os.stat(path).st_mode
    # Opening a pipe waits for its other end, and opening a device may do something to it.
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(None, "a pipe, socket or device, not a file; save what it gives as one", str(path))
    return open(path, "rb")


# What is there.


def is_file(path: Path) -> bool:
    """As `Path.is_file`."""
    return bool(_noted("kind", str(path)) == "file")


def is_folder(path: Path) -> bool:
    """As `Path.is_dir`."""
    return bool(_noted("kind", str(path)) == "folder")


def is_there(path: Path) -> bool:
    """As `Path.exists`."""
    return bool(_noted("kind", str(path)))


def _kind(name: str) -> str:
    path = Path(name)
    return "file" if path.is_file() else "folder" if path.is_dir() else "other" if path.exists() else ""


def are_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder; both are there."""
    return bool(_noted("same", str(path), str(other)))


def _same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def files_below(folder: Path, suffixes: Sequence[str], *, lenient: bool = False) -> list[Path]:
    """The files at any depth below a folder whose names end in one of some suffixes, sorted.

    Links to folders are followed. What can be reached in several ways counts once, without a link if it can be: so
    links that lead in a circle end.

    Args:
      lenient: takes a folder that cannot be listed for an empty one.

    Raises:
      UserError: a folder cannot be listed.
    """
    question = ("below", str(folder), tuple(suffixes), lenient)
    try:
        found = _below(str(folder), suffixes, lenient)
    except UserError:
        _note(question, "")
        raise
    _note(question, _digest(found))
    return [Path(name) for name in found]


def holds(folder: Path, suffix: str) -> bool:
    """Whether a file below a folder has a name that ends so, as far as it can be listed."""
    return bool(_noted("holds", str(folder), suffix))


def _below(folder: str, suffixes: Sequence[str], lenient: bool) -> list[str]:
    found = [Path(name) for name in _walk(folder, lenient) if name.endswith(tuple(suffixes))]
    return [str(path) for path in sorted(found)]


def _digest(names: Iterable[str]) -> str:
    return xxhash.xxh3_128_hexdigest("\0".join(names).encode("utf-8", "surrogateescape"))


def _listing(folder: str, suffixes: Sequence[str], lenient: bool) -> str:
    try:
        return _digest(_below(folder, suffixes, lenient))
    except UserError:
        return ""


def _holds(folder: str, suffix: str) -> bool:
    return any(name.endswith(suffix) for name in _walk(folder, lenient=True))


def _walk(folder: str, lenient: bool) -> Iterator[str]:
    """The paths of all that is no folder, as `files_below` has them, in no order that matters."""
    waiting, linked, seen = deque([folder]), deque[str](), set[tuple[int, int]]()
    while waiting or linked:
        at = (waiting or linked).popleft()
        try:
            status = os.stat(at)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(at) as opened:
                entries = sorted(opened, key=lambda entry: entry.name)
        except OSError as error:
            if lenient:
                continue
            raise UserError(
                f"{at}: cannot be listed ({error.strerror}); its files may be of the data"
            ) from error
        for entry in entries:
            if os.path.isdir(entry.path):
                (linked if entry.is_symlink() else waiting).append(entry.path)
            else:
                yield entry.path


_ANSWERS: Mapping[str, Callable[..., Any]] = {
    "content": _content,
    "kind": _kind,
    "same": _same,
    "below": _listing,
    "holds": _holds,
}
