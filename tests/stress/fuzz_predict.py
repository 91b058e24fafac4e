"""Arbitrary texts and damaged files, read by `toner-jax predict`: is every row answered, in the user's own characters?

    python tests/stress/fuzz_predict.py --model=RUN --folder=/tmp/fuzz --texts=20000 --files=2000

`RUN` is any finished run. Texts have characters of all planes, controls, halves of surrogate pairs, huge words, white
space alone, and thousands of characters; files are cut, recoded, marked, nested, and hold what is no JSON. No call
may raise; each row must come back with its text and with spans that are slices of it, or with an error that names its
line; and a file that is refused must be named in one line.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import toner_jax
from toner_jax.predict import main as predict

ODD = [
    "\0", "\x07", "\x1b[31m", "\x85", "\xa0", "\xad", "\u0301", "\u200b", "\u200d", "\u200e", "\u2028", "\u202e",
    "\ufeff", "\ufffd", "\uffff", "\ue000", "\ue001", "\r", "\n", "\r\n", "\n\n", "\t", "\v", "\f", "\x1c", "😀",
    "👨\u200d👩\u200d👧", "🇨🇭", "é", "İ", "ß", "שלום", "مرحبا", "北京", "กรุงเทพ", "한국어", "<b>", "</s>", "<pad>",
    "<extra_id_0>", "[(", ")]", ", ", '"', "\\", "''", "``", "...", "U.S.", "-DOCSTART-", "Text:", "(person, Selqua)",
]  # fmt: skip
NAMES = ["Selqua", "Ivan Borcalski", "Professor Jaman", "1973", "met", "in", "Zorvel.", "a"]


def character(rng: random.Random) -> str:
    high = rng.choice([0x7F, 0xFF, 0xD7FF, 0xFFFF, 0x10FFFF])
    return chr(rng.randint(0, high))  # halves of surrogate pairs, too


def text(rng: random.Random) -> str:
    """Of any kind; two halves of a pair never meet, as JSON would make them one character."""
    kind = rng.random()
    if kind < 0.02:
        found = "".join(rng.choice(" \t\r\n\v\f\u3000\u200b") for _ in range(rng.randrange(6)))
    elif kind < 0.04:
        found = rng.choice(["x", "9", "é", "北", "😀", "\u0301", "-"]) * rng.randrange(100, 3_000)
    elif kind < 0.045:
        found = " ".join(rng.choice(NAMES) for _ in range(rng.randrange(300, 2_000)))
    else:
        parts = [NAMES, ODD, ODD + NAMES, None][rng.randrange(4)]
        length = rng.randrange(1, 30)
        pieces = [rng.choice(parts) if parts else character(rng) for _ in range(length)]
        found = rng.choice(["", " "]).join(pieces)
    return re.sub("[\ud800-\udbff](?=[\udc00-\udfff])", "", found)


def faults(row: dict, given: str, labels: set[str]) -> list[str]:
    """What is wrong with an answer, told by the text alone."""
    if row.get("text") != given:
        return ["another text"]
    wrong = []
    for e in row["entities"]:
        if given[e["start"] : e["end"]] != e["text"] or not e["text"]:
            wrong.append(f"{e} is no slice")
        if not 0 <= e["score"] <= 1 or e["label"] not in labels:
            wrong.append(f"{e} has no score or no label")
    return wrong


def command(model: str, source: Path, sink: Path, *more: str) -> tuple[int, str]:
    """(exit status, standard error)."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = predict([f"--model={model}", f"--input={source}", f"--output={sink}", *more])
    return status, said.getvalue()


def answers(sink: Path) -> list[dict]:
    return [json.loads(line) for line in sink.read_text(encoding="utf-8").split("\n")[:-1]]


def fuzz_texts(model: str, labels: set[str], folder: Path, rng: random.Random, count: int) -> Counter[str]:
    """Prints faults; returns how many texts, entities and faults there were."""
    counts: Counter[str] = Counter()
    source, sink = folder / "texts.jsonl", folder / "found.jsonl"
    while counts["texts"] < count:
        given = [text(rng) for _ in range(min(1_000, count - counts["texts"]))]
        source.write_text("".join(json.dumps({"text": t}) + "\n" for t in given))
        status, said = command(model, source, sink)
        found = answers(sink) if status == 0 else []
        if len(found) != len(given):
            counts["faults"] += 1
            print(f"exit status {status}, {len(found)} rows for {len(given)} texts: {said}")
        for row, t in zip(found, given, strict=False):
            if wrong := faults(row, t, labels):
                counts["faults"] += 1
                print(f"{t[:200]!a}: {wrong}")
            counts["entities"] += len(row["entities"])
            counts["not all read"] += "coverage" in row
        counts["texts"] += len(given)
        print(f"texts: {dict(counts)}", flush=True)
    return counts


# Damaged files.

DEEP = '{"text": "a", "x": ' + "[" * 400 + "]" * 400 + "}"
ROWS = [
    "null", "{}", "[]", "5", '"Selqua"', '{"text": null}', '{"text": "a", "text": "b"}', '{"text": "a", "x": NaN}',
    '{"text": "a", "x": 1e999}', '{"text": "a", "x": ' + "9" * 5_000 + "}", "[" * 3_000, DEEP, '{"text": "a"',
    '{"text": "a"}}', "{'text': 'a'}", '{"text": "\\ud800"}', '{"text": "\\x"}', '{"words": ["a", null]}',
    '{"words": ["a"], "tokens": ["b"]}', '{"words": [], "text": "a"}', '{"tokens": ["Selqua", ""]}',
    '{"text": "a", "entities": 3, "error": "old", "coverage": {}}', '{"words": [[0, 1]], "text": "a"}',
]  # fmt: skip


Damage = Callable[[random.Random, bytes], bytes]


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def recode(rng: random.Random, data: bytes) -> bytes:
    encoding = rng.choice(
        ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-7", "utf-8-sig", "cp1252"]
    )
    return data.decode("utf-8", "replace").encode(encoding, "replace")


def returns(rng: random.Random, data: bytes) -> bytes:
    return data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n", b"\r\r\n"]))


DAMAGES: list[Damage] = [cut, flip, recode, returns, lambda _, data: data]


def sound_row(rng: random.Random) -> str:
    return json.dumps({"text": text(rng)[:300]}, ensure_ascii=rng.random() < 0.5)


def make_file(rng: random.Random) -> tuple[str, bytes]:
    """A name and what the file holds."""
    kind = rng.choice(["txt", "jsonl", "ndjson", "json"])
    rows = [rng.choice(ROWS) if rng.random() < 0.3 else sound_row(rng) for _ in range(rng.randrange(6))]
    if kind == "txt":
        rows = [text(rng)[:300] for _ in rows]
    body = f"[{', '.join(rows)}]" if kind == "json" and rng.random() < 0.7 else "\n".join(rows) + "\n"
    data = body.encode("utf-8", "surrogatepass" if rng.random() < 0.2 else "replace")
    for _ in range(rng.randrange(3)):
        data = rng.choice(DAMAGES)(rng, data)
    if rng.random() < 0.2:
        packed = gzip.compress(data, mtime=0)
        return f"in.{kind}.gz", rng.choice(DAMAGES[:2])(rng, packed) if rng.random() < 0.5 else packed
    return f"in.{kind}", data


def lines_of(data: bytes) -> list[str] | None:
    """The lines of a file of UTF-8, whatever ends them; None of another."""
    if data[:2] in (b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:4]:
        return None
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    lines = re.split("\r\n|\r|\n", text)
    return lines[:-1] if lines[-1] == "" else lines


def file_faults(name: str, data: bytes, status: int, said: str, sink: Path) -> list[str]:
    """What is wrong with how a file was taken."""
    if status == 2:
        line = said.strip().split("\n")[-1]
        return [] if name in line and line.startswith("toner-jax: ") else [f"refused with {said!r}"]
    rows = answers(sink)
    wrong = [f"{row!a} has no answer" for row in rows if ("error" in row) == ("entities" in row)]
    wrong += [f"{row!a} names no line" for row in rows if name not in row.get("error", name)]
    if (status == 3) != any("error" in row for row in rows) or status not in (0, 3):
        wrong.append(f"exit status {status}")
    lines = lines_of(data)
    if lines is None or name.endswith((".gz", ".json")):
        return wrong
    expected = lines if name.endswith(".txt") else [line for line in lines if line.strip()]
    if len(rows) != len(expected):
        return [*wrong, f"{len(rows)} rows for {len(expected)} lines"]
    for row, line in zip(rows, expected, strict=True):
        given = line if name.endswith(".txt") or "error" in row else text_of(line)
        if row.get("text", given) != given and "error" not in row:
            wrong.append(f"{row!a} is not {line!a}")
    return wrong


def text_of(line: str) -> object:
    value = json.loads(line)
    return value.get("text") if isinstance(value, dict) else value


def fuzz_files(model: str, folder: Path, rng: random.Random, count: int) -> Counter[str]:
    """Prints faults; returns how many files there were, and how they ended."""
    counts: Counter[str] = Counter()
    for number in range(count):
        name, data = make_file(rng)
        source, sink = folder / name, folder / "found.jsonl"
        source.write_bytes(data)
        sink.unlink(missing_ok=True)
        try:
            status, said = command(model, source, sink)
            wrong = file_faults(name, data, status, said, sink)
        except Exception as error:
            status, wrong = -1, [f"{type(error).__name__}: {error}"]
        counts["files"] += 1
        counts[f"exit status {status}"] += 1
        if wrong:
            counts["faults"] += 1
            print(f"{name}: {wrong}: {data[:300]!r}")
        if number % 200 == 199:
            print(f"files: {dict(counts)}", flush=True)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    ner = toner_jax.load(options.model)
    with mock.patch("toner_jax.commands.predict.load", return_value=ner):  # once, not for every file
        rng = random.Random(options.seed)
        files = fuzz_files(options.model, options.folder, rng, options.files)
        texts = fuzz_texts(options.model, set(ner.schema.names), options.folder, rng, options.texts)
    print(f"files: {dict(files)}\ntexts: {dict(texts)}")
    return bool(files["faults"] + texts["faults"])


if __name__ == "__main__":
    sys.exit(main())
