"""Damaged exports of annotation tools: each is refused in one line, or gives the labels that it holds, no more or less.

    python tests/stress/fuzz_exports.py --files=5000

Sound files of every format are damaged at random: keys and elements deleted, inserted, duplicated, numbers and types
changed, labels swapped, files cut, bytes flipped, line ends changed. What a damaged file holds is counted by rules of
`made_exports.py`. A label that is not read must be counted among the repairs.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import made_exports as made

from toner_jax.config import base
from toner_jax.data.formats.registry import FORMATS, read_path
from toner_jax.data.options import DataOptions
from toner_jax.data.reading import Read
from toner_jax.errors import UserError

OPTIONS = DataOptions.from_section(base().data)
FORMS = (*made.RECORDS, "tecoholic", "brat", "columns", "csv", "docbin")
# Repairs that leave an annotation out; all others leave it in, or are of what the rules leave out, too.
LOSES = ("duplicate_entity", "blank_entity")


def containers(value: Any) -> list[Any]:
    """Every list and object within a value, itself among them."""
    if not isinstance(value, list | dict):
        return []
    inner = value.values() if isinstance(value, dict) else value
    return [value, *(found for element in inner for found in containers(element))]


def other_value(value: Any, rng: random.Random) -> Any:
    """A value of another type, or a number or text nearby."""
    if isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.7:
        return value + rng.choice([-3, -1, 1, 2, 50])
    if isinstance(value, str) and value and rng.random() < 0.5:
        at = rng.randrange(len(value))
        return (
            value[:at] + rng.choice(["", "x", "\r\n", " ", "😀", "\u0301"]) + value[at + rng.randint(0, 1) :]
        )
    return rng.choice(
        [None, True, 1.5, -1, "x", "", [], {}, [value], {"x": value}, str(value), "reject", "PER"]
    )


def damage_value(value: Any, rng: random.Random) -> Any:
    """A copy with one thing changed."""
    value = copy.deepcopy(value)
    at = rng.choice(containers(value))
    if not at:
        return value
    kind, keys = rng.randrange(5), list(at) if isinstance(at, dict) else list(range(len(at)))
    key, other = rng.choice(keys), rng.choice(keys)
    if kind == 0:
        del at[key]
    elif kind == 1:
        at[key] = other_value(at[key], rng)
    elif kind == 2:
        at[key], at[other] = at[other], at[key]
    elif isinstance(at, list):
        at.insert(key, copy.deepcopy(at[key]))
    else:
        name = rng.choice(
            ["x", "labels", "label", "text", "answer", "was_cancelled", "entities", "spans", f"{key}s"]
        )
        at[name] = copy.deepcopy(at[key]) if kind == 3 else rng.choice([None, "reject", True, []])
    return value


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """The bytes cut, flipped, doubled, with other line ends, or with a line or a JSON key twice."""
    if not data:
        return data
    kind, at, lines = rng.randrange(7), rng.randrange(len(data)), data.split(b"\n")
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at : at + rng.randint(1, 20)] + data[at:]
    if kind == 3:
        return data.replace(b"\n", b"\r\n")
    if kind == 4:
        return data[:at] + data[at + rng.randint(1, 20) :]
    if kind == 5:
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
        return b"\n".join(lines)
    pairs = re.findall(rb'"[a-z]+": (?:"[a-zA-Z]*"|\d+|\[\])', data)
    pair = rng.choice(pairs) if pairs else b""
    return data.replace(pair, pair + b", " + pair, 1) if pair else data


def make_docbin(docs: list[made.Doc]) -> bytes:
    import spacy
    from spacy.tokens import Doc, DocBin, Span

    vocab, bin = spacy.blank("xx").vocab, DocBin()
    for one in docs:
        doc = Doc(vocab, one.words)
        doc.ents = [Span(doc, a, b, label) for a, b, label in one.entities]
        bin.add(doc)
    return bin.to_bytes()


def damage_docbin(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed within what is compressed, so that the file still opens."""
    import zlib

    return zlib.compress(damage_bytes(zlib.decompress(data), rng))


def docbin_claims(data: bytes) -> list[made.Claim]:
    import spacy
    from spacy.tokens import DocBin

    try:
        docs = list(DocBin().from_bytes(data).get_docs(spacy.blank("xx").vocab))
        return [(span.label_, None) for doc in docs for span in doc.ents]
    except Exception as error:
        raise made.Malformed(repr(error)) from error


def make_content(form: str, docs: list[made.Doc], rng: random.Random, times: int) -> bytes:
    """A file of a form, damaged so many times."""
    if form == "docbin":
        data = make_docbin(docs)
        for _ in range(times):
            data = damage_docbin(data, rng)
        return data
    if form in ("brat", "columns", "csv"):
        text = (
            made.make_brat(docs[0])
            if form == "brat"
            else made.make_rows(docs, "," if form == "csv" else "\t")
        )
        data = text.encode()
        for _ in range(times):
            data = damage_bytes(data, rng)
        return data
    of_bytes = rng.randint(0, times) if times and rng.random() < 0.5 else 0
    name = "spacy_json" if form == "tecoholic" else form
    value: Any = [made.RECORDS[name](i, doc) for i, doc in enumerate(docs)]
    if form == "tecoholic":
        value = {"classes": list(made.LABELS), "annotations": [*value, None]}
    for _ in range(times - of_bytes):
        value = damage_value(value, rng)
    as_lines = form in made.LINES and isinstance(value, list)
    text = "".join(json.dumps(v) + "\n" for v in value) if as_lines else json.dumps(value)
    data = text.encode()
    for _ in range(of_bytes):
        data = damage_bytes(data, rng)
    return data


def claims(form: str, data: bytes) -> list[made.Claim]:
    if form == "docbin":
        return docbin_claims(data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise made.Malformed(str(error)) from error
    if form == "tecoholic":
        wholes = made.parsed(text, text.count('{"classes') > 1)
        try:
            pairs = json.dumps(
                [pair for whole in wholes for pair in whole["annotations"] if pair is not None]
            )
        except (KeyError, TypeError) as error:
            raise made.Malformed(repr(error)) from error
        return made.claims("spacy_json", pairs)
    return made.claims(form, text)


def read_file(form: str, data: bytes, docs: list[made.Doc], folder: Path) -> Read:
    """What the form's reader makes of the content."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    name = "json" if form == "tecoholic" else made.READ_AS.get(form, form)
    if form == "brat":
        (folder / "a.txt").write_bytes(docs[0].text.encode())
        (folder / "a.ann").write_bytes(data)
        return read_path(folder, name, None, "dev", OPTIONS)
    path = folder / f"file{FORMATS[name].suffixes[0]}"
    path.write_bytes(data)
    return read_path(path, name, None, "dev", OPTIONS)


def faults(read: Read, claimed: list[made.Claim]) -> list[str]:
    """What was lost or made up, beside what the file says."""
    found = Counter(e.type for s in read.sentences for e in s.gold)
    meant = Counter(label for label, _ in claimed)
    lost, invented = meant - found, found - meant
    wrong = [f"invented {dict(invented)}"] if invented else []
    counted = sum(read.repairs.get(reason, 0) for reason in LOSES)
    if lost.total() != counted:
        wrong.append(f"lost {dict(lost)}, but {counted} are counted: {dict(read.repairs)}")
    texts = Counter((e.type, "".join(s.surface(e).split())) for s in read.sentences for e in s.entities)
    said = Counter((label, "".join(text.split())) for label, text in claimed if isinstance(text, str))
    if said.total() == meant.total() and (others := texts - said):
        wrong.append(f"other texts than the file says: {dict(others)}")
    return wrong


def try_one(form: str, seed: int, folder: Path, times: int | None = None) -> tuple[str, str]:
    """(what came of one damaged file, the fault if there is one)"""
    rng = random.Random(f"{form} {seed}")
    docs = made.make_docs(rng)
    data = make_content(form, docs, rng, rng.randint(1, 3) if times is None else times)
    try:
        read = read_file(form, data, docs, folder)
    except UserError as error:
        message = str(error)
        one_line = "\n" not in message and str(folder) in message and len(message) < 1_000
        return "refused", "" if one_line else f"not one line about the file: {message!r}"
    except Exception:
        return "broken", traceback.format_exc()
    try:
        claimed = claims(form, data)
    except made.Malformed as error:
        return "read", f"read, though it is malformed: {error}"
    return "read", "; ".join(faults(read, claimed))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMS:
            outcomes: Counter[str] = Counter()
            for i in range(-(-options.files // len(FORMS))):
                outcome, fault = try_one(form, options.seed + i, Path(folder) / "x")
                outcomes[outcome] += 1
                if fault:
                    bad += 1
                    print(f"{form} {options.seed + i}: {fault}", flush=True)
            print(f"{form}: {outcomes.total():,} files, {dict(outcomes)}", flush=True)
    print(f"{bad} faults")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
