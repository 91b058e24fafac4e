"""The command line: how it is read, how it fails, and with which status it ends. Every command goes through here."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TextIO

from toner_jax.common.console import printable, show_messages, standard_output
from toner_jax.common.files import describe_failure, why_unwritable
from toner_jax.common.memory import out_of_memory
from toner_jax.errors import ParameterError, UserError

PROGRAM = "toner-jax"

# Exit statuses.
OK = 0
BAD_INPUT = 2
PREEMPTED = 75  # EX_TEMPFAIL: the same command goes on from where it was
INTERRUPTED = 130  # 128 + SIGINT
CLOSED_PIPE = 141  # 128 + SIGPIPE: nobody reads the output any more, as of `… | head`

_KEY = "--config."


@dataclass
class _Given:
    """What the command that runs can be given."""

    flags: tuple[str, ...] = ()
    takes_keys: bool = False
    ends_at_once: bool = False


_given = _Given()


class Ended(Exception):
    """A command ends early with a status of its own and a line that says why."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def run(command: Callable[[], int | None]) -> int:
    """Runs a command and returns its exit status. What is the user's to mend is one line on standard error; a
    defect of ours keeps its traceback."""
    _prepare_streams()
    show_messages()
    _given.flags, _given.takes_keys = (), False
    try:
        status = _status_of(command)
        if sys.stdout is not None:
            with standard_output() as stream:
                stream.flush()
    except (Exception, KeyboardInterrupt) as error:
        ending = _ending(error)
        if ending is None:
            raise
        status = _fail(*ending)
    for stream in (sys.stdout, sys.stderr):
        _settle(stream)
    if _given.ends_at_once:
        os._exit(status)
    return status


def end_at_once() -> None:
    """The process is to end as soon as its command has, without what libraries do at the interpreter's end."""
    _given.ends_at_once = True


def _prepare_streams() -> None:
    """Keeps other files from the numbers of standard streams that are closed, and has the others wait where a pipe is
    full: data would be lost."""
    for number in range(3):
        try:
            os.set_blocking(number, True)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free
        except AttributeError:  # a system without
            pass


def _status_of(command: Callable[[], int | None]) -> int:
    try:
        return command() or OK
    except SystemExit as error:  # argparse's, after --help
        return error.code if isinstance(error.code, int) else OK


def _ending(error: BaseException) -> tuple[int, str] | None:
    """The status and the line with which a command ends, "" for none; None for a defect of ours."""
    match error:
        case ParameterError():
            return BAD_INPUT, _of_flag(error)
        case UserError():
            return BAD_INPUT, _with_flags(str(error))
        case Ended():
            return error.status, str(error)
        case KeyboardInterrupt():
            return INTERRUPTED, "interrupted"
        case BrokenPipeError():
            return CLOSED_PIPE, ""
        case OSError():  # a full disk, a file that may not be read
            return BAD_INPUT, describe_failure(error)
    if what := out_of_memory(error):
        return BAD_INPUT, f"{what}; lower the sizes of batches, or give it less at a time"
    return None


def _settle(stream: TextIO | None) -> None:
    """Writes what a standard stream still holds, or has it go nowhere: the interpreter would try again at its end, and
    complain."""
    if stream is None:
        return
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _of_flag(error: ParameterError) -> str:
    """The library names a parameter or a key, `threshold=2: …`; who typed a flag reads of that flag."""

    def flag(name: str) -> str:
        if f"--{name}" in _given.flags:
            return f"--{name}"
        return _KEY + name if _given.takes_keys else name

    reason = re.sub(r"\bset ([a-z_]+(?:\.[a-z_0-9]+)*)=", lambda m: f"set {flag(m[1])}=", error.reason)
    return f"{flag(error.name)}={error.value}: {reason}"


def _with_flags(message: str) -> str:
    """A message that tells to set a parameter, of the flag for it where the command has one."""
    return re.sub(
        r"\bset ([a-z_]+)=", lambda m: f"set {f'--{m[1]}' if f'--{m[1]}' in _given.flags else m[1]}=", message
    )


def _fail(status: int, message: str) -> int:
    """Says why a command ends, if there is a message, in one line; returns the status."""
    if message and sys.stderr is not None:
        line = printable(re.sub(r"[ \t\r\n]+", " ", message).strip())
        with suppress(OSError):  # nobody hears of it any more
            print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)
    return status


def choose(arguments: Sequence[str], names: Iterable[str], kind: str, program: str) -> tuple[str, list[str]]:
    """The name that a command line begins with, and the rest.

    Args:
      names: which there are.
      kind: what they are names of, for messages.
      program: the command so far.

    Raises:
      UserError: none, another, or a flag before it.
    """
    names = list(names)
    if not arguments:
        raise UserError(f"name a {kind}: {', '.join(names)}; see {program} --help")
    first, rest = arguments[0], list(arguments[1:])
    if first in names:
        return first, rest
    later = [a for a in rest if a in names]
    if first.startswith("-") and later:
        raise UserError(f"{first}: flags follow the {kind}: {program} {later[0]} {first} …")
    if first.startswith("-"):
        raise UserError(f"unknown flag {first.partition('=')[0]}; name a {kind} first: {', '.join(names)}")
    raise UserError(f"{first!r} is no {kind}{did_you_mean(first, names)}; there are {', '.join(names)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "; did you mean …?", or nothing where no known word is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""


class Parser(argparse.ArgumentParser):
    """The flags of one command; each is `--name=value` or `--name value`, and of several the last holds."""

    def __init__(
        self,
        command: str,
        description: str,
        more: Callable[[], str] | None = None,
        takes_keys: bool = False,
    ):
        """Args:
        command: its name, as it is typed after the program's.
        more: makes the end of the help text.
        takes_keys: whether `--config.KEY=VALUE` may be given.
        """
        super().__init__(
            prog=f"{PROGRAM} {command}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._more, self._takes_keys = more, takes_keys

    def add_key_flag(self, flag: str, key: str, value: str, help: str) -> None:
        """A flag that stands for `--config.KEY=VALUE`."""
        pair = (key, value)
        self.add_argument(flag, dest="key_flags", action="append_const", const=pair, default=[], help=help)

    def format_help(self) -> str:
        return super().format_help() + (f"\n{self._more()}\n" if self._more else "")

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The flags' values; `keys` are the (key, value) pairs of `--config.KEY=VALUE`, in order.

        Raises:
          UserError: an unknown flag, one without a value, a value that means nothing, or a stray argument.
        """
        _given.flags = tuple(option for action in self._actions for option in action.option_strings)
        _given.takes_keys = self._takes_keys
        rest, keys = _split_keys(arguments) if self._takes_keys else (list(arguments), [])
        known = [o for action in self._actions for o in action.option_strings]
        for argument in rest:
            name = argument.partition("=")[0]
            if name.startswith("-") and name != "-" and name not in known and not _is_number(name):
                hint = did_you_mean(name.replace("-", "_").replace("__", "--", 1), known)
                if self._takes_keys and not hint:
                    hint = f"; a key of the configuration is set with {_KEY}KEY=VALUE"
                raise UserError(f"unknown flag {name}{hint}; see {self.prog} --help")
        options, stray = self.parse_known_args(rest)
        if stray:
            raise UserError(
                f"unexpected argument {stray[0]!r}; flags are written --name=value, see {self.prog} --help"
            )
        options.keys = [*keys, *getattr(options, "key_flags", ())]
        return options

    def error(self, message: str) -> NoReturn:
        missing = message.removeprefix("the following arguments are required: ")
        if missing != message:
            message = f"{missing.split(', ')[0]} is missing"
        message = message.removeprefix("argument ").replace("expected one argument", "expected a value")
        message = message.replace("ignored explicit argument", "takes no value, not")
        raise UserError(f"{message}; see {self.prog} --help")


def _split_keys(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Other arguments, and the pairs of `--config.KEY=VALUE` or `--config.KEY VALUE`."""
    rest: list[str] = []
    keys: list[tuple[str, str]] = []
    waiting = iter(arguments)
    for argument in waiting:
        if not argument.startswith(_KEY):
            rest.append(argument)
            continue
        key, equals, value = argument.removeprefix(_KEY).partition("=")
        if not key:
            raise UserError(f"{argument}: expected a key, as {_KEY}KEY=VALUE")
        if not equals:
            value = next(waiting, "--")
            if value.startswith("--"):
                raise UserError(f"{_KEY}{key}: expected a value, as {_KEY}{key}=VALUE")
        keys.append((key, value))
    return rest, keys


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# Types of flags, for argparse's `type`.


def some(text: str) -> str:
    """A value that is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("expected a value, and this one is empty")
    return text


def path(text: str) -> Path:
    return Path(some(text))


def output(text: str) -> Path:
    """A file or folder to be written; the folders above it are made if they are not there."""
    found = path(text)
    if reason := why_unwritable(found.parent):
        raise argparse.ArgumentTypeError(f"{found} cannot be written ({reason}); choose another place")
    return found


def picture(text: str) -> Path:
    """As `output`, of a picture."""
    if Path(text).suffix not in (".svg", ".png"):
        raise argparse.ArgumentTypeError(f"{text!r} is no .svg or .png file")
    return output(text)


def words(text: str) -> list[str]:
    """Words with commas between."""
    return [part.strip() for part in some(text).split(",")]


def whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, not {text!r}") from None


def positive(text: str) -> int:
    value = whole_number(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, not {text!r}") from None


def one_of(*names: str) -> Callable[[str], str]:
    """One of some words."""

    def choice(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}")
        return text

    return choice
