"""The forms: every value of `--output_format`. A new one is a function that writes answers, and an entry here."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from toner_jax.atoms import Range
from toner_jax.commands.outputs.answers import Answer, Answers, Tokenize, sentences_of, tokens_of
from toner_jax.commands.outputs.form import Form, lone_surrogate
from toner_jax.data.formats import brat, columns, docbin
from toner_jax.data.reading import shown
from toner_jax.errors import UserError

AUTO, JSONL = "auto", "jsonl"


def form_of(output: str, name: str) -> str:
    """The name of the form in which to write: the one named, or for "auto" that of the output's suffix, .gz aside.
    A folder is brat's; standard output and a name without a suffix are JSON lines.

    Raises:
      UserError: a suffix that stands for no form.
    """
    if name != AUTO:
        return name
    if output.endswith(("/", os.sep)) or Path(output).is_dir():
        return "brat"
    suffix = Path(output.lower().removesuffix(".gz")).suffix
    if not suffix or (Path(output).exists() and not Path(output).is_file()):
        return JSONL
    for found, form in FORMS.items():
        if suffix in form.suffixes:
            return found
    raise UserError(
        f"{output}: no form of output is called {suffix}; name it, --output_format={'|'.join(FORMS)}"
    )


def _write_json(answers: Answers, file: IO[str]) -> None:
    """An array of the objects that stand in JSON lines."""
    separator = "[\n"
    for line in answers.lines():
        file.write(separator + line.rstrip("\n"))
        separator = ",\n"
    file.write("[]\n" if separator == "[\n" else "\n]\n")


def _write_jsonl(answers: Answers, file: IO[str]) -> None:
    file.writelines(answers.lines())


def _write_columns(answers: Answers, file: IO[str]) -> None:
    """A document a row, an unread row too, so that they can be counted; a column of tags for each level of nesting."""
    # As many as their characters need: where an entity begins or ends, so does a token.
    depth = max((level + 1 for answer in answers.read() for level in _levels(answer)), default=1)
    for answer in answers:
        columns.begin_document(file, depth)
        if not answer.error:
            for tokens, layers_ in _with_layers(answer, answers.tokenize):
                columns.write_sentence(file, tokens, layers_, depth)


def _levels(answer: Answer) -> list[int]:
    return columns.tag_levels((start, end) for start, end, *_ in answer.spans())


def _with_layers(answer: Answer, tokenize: Tokenize) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The tokens of each sentence, and its columns of tags; in labels, spaces stand for other white space."""
    for tokens, entities in sentences_of(answer, tokenize):
        tagged = [replace(e, type=" ".join(e.type.split())) for e in entities]
        yield tokens, columns.tag_layers(len(tokens), tagged)


def _no_columns(answer: Answer, tokenize: Tokenize) -> str:
    if "\0" in answer.text:
        return "holds a NUL character, which no file of columns may; choose --output_format=jsonl"
    if not answer.is_text or columns.may_be_unwritable(answer.text):  # or else it need not be cut into words
        for tokens, _ in sentences_of(answer, tokenize):
            for token in filter(columns.is_unwritable, tokens):
                return f"the word {shown(token)} cannot stand in a column; choose --output_format=jsonl"
    return lone_surrogate(answer)


def _write_brat(answers: Answers, folder: Path) -> None:
    """A document a row, called as the row, or where names are missing or the same, by the row's number."""
    folder.mkdir()
    named = _have_names(answers)
    digits = len(str(sum(1 for _ in answers)))
    for answer in answers.read():
        name = answer.name if named else f"{answer.number:0{digits}}"
        spans = [(start, end, label) for start, end, label, _ in answer.spans()]
        brat.write_document(folder, name, answer.text, spans)


def _have_names(answers: Answers) -> bool:
    """Whether each has a name that a file can have, and that no file system takes for another's."""
    seen: set[str] = set()
    for answer in answers.read():
        stem = brat.file_stem(answer.name).casefold()
        if not stem or len(stem) > 200 or stem in seen:
            return False
        seen.add(stem)
    return True


def _no_brat(answer: Answer, tokenize: Tokenize) -> str:
    if "\0" in answer.text or answer.text.startswith("\ufeff"):
        what = "a NUL character" if "\0" in answer.text else "a byte order mark as its first character"
        return f"holds {what}, which readers of text files do not give back; choose --output_format=jsonl"
    return lone_surrogate(answer)


def _write_docbin(answers: Answers, path: Path) -> None:
    docbin.write_docbin((_tokenized(answer, answers.tokenize) for answer in answers.read()), path)


def _tokenized(answer: Answer, tokenize: Tokenize) -> docbin.TokenizedText:
    """What lies between words belongs to spaCy's tokens, too: a single space to the one before it, all else is one."""
    found = tokens_of(answer, tokenize)
    words: list[str] = []
    spaces: list[bool] = []
    index: list[int] = []  # of each token among spaCy's
    at, text = 0, answer.text
    last: Range = (len(text), len(text))
    for start, end in [*found.ranges, last]:
        gap = text[at:start]
        if gap.startswith(" ") and words and not spaces[-1]:
            spaces[-1], gap = True, gap[1:]
        index.append(len(words) + bool(gap))
        for part in filter(None, (gap, text[start:end])):
            words.append(part)
            spaces.append(False)
        at = end
    entities = [(index[e.start], index[e.end - 1] + 1, e.type) for e in found.entities]
    scores = [e["score"] for e in sorted(answer.entities, key=lambda e: (e["start"], e["end"], e["label"]))]
    return docbin.TokenizedText(
        words,
        spaces,
        entities,
        {"row": answer.number, "id": answer.name, "scores": scores},
        is_sentence=not answer.is_text,
    )


def _no_docbin(answer: Answer, tokenize: Tokenize) -> str:
    if "" in answer.words:
        return "holds an empty word, which spaCy cannot; choose --output_format=jsonl"
    return lone_surrogate(answer)


def _check_docbin(output: str) -> None:
    docbin.check_spacy(output, "writing")


def _write_csv(answers: Answers, file: IO[str]) -> None:
    """An entity a row, or the error of a row that could not be read."""
    writer = csv.writer(file)
    writer.writerow(["row", "id", "start", "end", "text", "label", "score", "error"])
    for answer in answers:
        if answer.error:
            writer.writerow([answer.number, answer.name, "", "", "", "", "", answer.error])
        for e in answer.entities:
            place = [e["start"], e["end"], e["text"], e["label"], e["score"]]
            writer.writerow([answer.number, answer.name, *place, ""])


def _no_csv(answer: Answer, tokenize: Tokenize) -> str:
    return lone_surrogate(answer)


def _write_html(answers: Answers, file: IO[str]) -> None:
    from toner_jax.evaluation.pages import page

    rows = (
        {
            "id": f"{answer.number}" + (f": {answer.name}" if answer.name else ""),
            "text": "" if answer.error else answer.text,
            "spans": [[a, b, label, "", round(score, 3)] for a, b, label, score in answer.spans()],
            "error": answer.error,
            "coverage": answer.coverage,
        }
        for answer in answers
    )
    for part in page("predictions.html.j2").generate(rows=rows):
        file.write(part)


FORMS: dict[str, Form] = {
    JSONL: Form((".jsonl", ".ndjson", ".jsonlines"), write_text=_write_jsonl),
    "json": Form((".json",), write_text=_write_json),
    "columns": Form(
        (".conll", ".txt", ".tsv", ".iob2", ".iob", ".bio"),
        write_text=_write_columns,
        holds_errors=False,
        refuses=_no_columns,
    ),
    "brat": Form(write_path=_write_brat, is_folder=True, holds_errors=False, refuses=_no_brat),
    "docbin": Form(
        (".spacy",), write_path=_write_docbin, holds_errors=False, refuses=_no_docbin, check=_check_docbin
    ),
    "csv": Form((".csv",), write_text=_write_csv, refuses=_no_csv),
    "html": Form((".html", ".htm"), write_text=_write_html),
}
