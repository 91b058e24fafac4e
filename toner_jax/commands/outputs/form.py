"""What a form of output is: the type of the registry's entries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from toner_jax.commands.outputs.answers import Answer, Answers, Tokenize


def nothing_refused(answer: Answer, tokenize: Tokenize) -> str:
    """Of a form that has room for every row."""
    return ""


def nothing_needed(output: str) -> None:
    """Of a form that needs no library of its own."""


@dataclass(frozen=True)
class Form:
    """A value of `--output_format`: a text, or files of another kind: one of `write_text` and `write_path` is there.

    Attributes:
      suffixes: of files that are written so.
      write_text: writes all answers to a text file, which is UTF-8 without translation of line ends.
      write_path: writes them to a path, where there is nothing yet.
      is_folder: whether that becomes a folder.
      holds_errors: whether there is room for rows that could not be read.
      refuses: why a row, whose entities are not known yet, cannot be written in this form; "" if it can.
      check: raises a UserError where a library is missing, with the name of the output.
    """

    suffixes: tuple[str, ...] = ()
    write_text: Callable[[Answers, IO[str]], None] | None = None
    write_path: Callable[[Answers, Path], None] | None = None
    is_folder: bool = False
    holds_errors: bool = True
    refuses: Callable[[Answer, Tokenize], str] = nothing_refused
    check: Callable[[str], None] = nothing_needed


def lone_surrogate(answer: Answer) -> str:
    """Says of a row whose text, words or name hold half of a surrogate pair that UTF-8 has none; "" of others."""
    try:
        (answer.text + answer.name).encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which UTF-8 cannot; choose --output_format=jsonl"
    return ""
