"""Each form of predict's output, read back by an instrument of its own, gives every entity at its characters."""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
import subprocess
from functools import partial

import pytest

from toner_jax.commands.outputs.forms import FORMS, form_of
from toner_jax.commands.outputs.target import Target
from toner_jax.data.formats.brat import read_brat
from toner_jax.data.formats.columns import read_columns
from toner_jax.data.formats.docbin import read_docbin
from toner_jax.data.formats.jsonl import read_jsonl
from toner_jax.errors import UserError
from toner_jax.text.words import READING, lines_of_words, split_into_sentences

tokenize = partial(split_into_sentences, reading=READING)

# Texts with the strings in them that are entities, each with its labels.
TEXTS = [
    ("Ajax sank.\r\nBo\tsaw\tAjax 2.\r\n", [("Ajax", "ship"), ("Bo", "person"), ("Ajax 2", "ship")]),
    ("", []),
    ("Nothing is here.", []),
    ("\u202bשלום יוסי\u202c, said\u2028Zoë😀Bo👨\u200d👩.", [("יוסי", "person"), ("Zoë", "person"), ("😀", "sign")]),
    ("\x07\x1b[31mAjax\x85&<b>Bo</b></script>", [("Ajax", "ship"), ("Bo", "person")]),
    ("the University of Lima won IL-2", [("University of Lima", "group"), ("Lima", "work of art"), ("2", "sign")]),
    ("  Ajax\nof Lima  ", [("Ajax\nof Lima", "ship"), ("Lima", "place"), ("Lima", "ship")]),
    ("   \r\n \t", []),
]  # fmt: skip
WORDS = ["Bo", "saw", "the", "Ajax", "Ⅱ", "."]


def entity(start, end, text, label):
    return {"start": start, "end": end, "text": text, "label": label, "score": 0.25, "type_score": 0.5}


def found_in(text, strings):
    found, at = [], 0
    for string, label in strings:
        start = text.index(string, at)
        found.append(entity(start, start + len(string), string, label))
        at = start
    return found


ANSWERS = [{"text": text, "entities": found_in(text, strings)} for text, strings in TEXTS]
OF_WORDS = {
    "words": WORDS,
    "entities": [entity(0, 1, "Bo", "person"), entity(3, 5, "Ajax Ⅱ", "ship")],
}
ERROR = {"text": None, "error": "in.jsonl:10: expected an object"}
EXPECTED = [{(e["start"], e["end"], e["label"]) for e in answer["entities"]} for answer in ANSWERS]


def write(output, answers, form="auto", tokens=tokenize, resume=False):
    with Target(str(output), form, resume) as target:
        sink, _ = target.open()
        for answer in answers:
            sink.write(json.dumps(answer, ensure_ascii=False) + "\n")
        target.finish(tokens)
    return output


def surfaces(sentences):
    """By document, its entities as (what stands there, label), those that no words make up too."""
    found = {}
    for s in sentences:
        places = [(*s.char_span(e), e.type) for e in s.entities]
        places += [(u.start, u.end, u.type) for u in s.unreachable]
        found.setdefault(s.doc_id, []).extend((s.text[a:b], label) for a, b, label in places)
    return {name: sorted(pairs) for name, pairs in found.items()}


def test_brat_has_the_texts_as_they_were(tmp_path):
    folder = write(tmp_path / "out", [*ANSWERS, OF_WORDS, ERROR], "brat")
    assert len(list(folder.iterdir())) == 2 * (len(ANSWERS) + 1)
    for number, ((text, _), expected) in enumerate(zip(TEXTS, EXPECTED, strict=True), 1):
        assert (folder / f"{number:02}.txt").read_bytes() == text.encode()
        found = set()
        for line in (folder / f"{number:02}.ann").read_bytes().decode().split("\n")[:-1]:
            id, place, surface = line.split("\t", 2)
            label, start, end = place.split(" ")
            assert id == f"T{len(found) + 1}"
            assert surface == re.sub("[\n\u2028\x85]", " ", text[int(start) : int(end)])
            found.add((int(start), int(end), label.replace("_of_", " of ")))
        assert found == expected
    assert (folder / "09.txt").read_text() == "Bo saw the Ajax Ⅱ ."
    assert (folder / "09.ann").read_text() == "T1\tperson 0 2\tBo\nT2\tship 11 17\tAjax Ⅱ\n"
    read = surfaces(read_brat(folder, None).sentences)
    for number, (_, strings) in enumerate(TEXTS, 1):
        expected = sorted((text, label.replace(" ", "_")) for text, label in strings)
        assert read.get(f"{number:02}", []) == expected


def test_brat_is_called_as_the_rows_where_each_has_a_name_of_its_own(tmp_path):
    rows = [{**ANSWERS[0], "id": "a/b"}, {**ANSWERS[1], "id": 7}, {**ANSWERS[2], "doc_id": ".x"}]
    folder = write(tmp_path / "named", rows, "brat")
    assert {p.name for p in folder.glob("*.ann")} == {"a%2Fb.ann", "7.ann", "%2Ex.ann"}
    folder = write(tmp_path / "same", [{**ANSWERS[0], "id": "A"}, {**ANSWERS[1], "id": "a"}], "brat")
    assert {p.name for p in folder.glob("*.txt")} == {"1.txt", "2.txt"}


def test_docbin_is_what_spacy_reads(tmp_path):
    spacy = pytest.importorskip("spacy")
    from spacy.tokens import DocBin

    control = {"text": "a\0Ajax", "id": "z", "entities": [entity(2, 6, "Ajax", "ship")]}
    path = write(tmp_path / "out.spacy", [*ANSWERS, ERROR, OF_WORDS, control])
    docs = list(DocBin(store_user_data=True).from_disk(path).get_docs(spacy.blank("xx").vocab))
    *texts, words, last = docs
    assert [doc.text for doc in texts] == [text for text, _ in TEXTS]
    for doc, expected in zip(texts, EXPECTED, strict=True):
        flat = all(a[1] <= b[0] for a, b in zip(sorted(expected), sorted(expected)[1:], strict=False))
        spans = doc.ents if flat else doc.spans["sc"]
        assert {(s.start_char, s.end_char, s.label_) for s in spans} == expected
        assert bool(doc.ents) == (flat and bool(expected))
        assert all(token.ent_iob != 0 for token in doc)  # outside, and not unknown
    assert [token.text for token in words] == WORDS
    assert [(s.start, s.end, s.label_) for s in words.ents] == [(0, 1, "person"), (3, 5, "ship")]
    assert [s.text for s in last.ents] == ["Ajax"]
    assert last.user_data == {"row": 11, "id": "z", "scores": (0.25,)}
    read = surfaces(read_docbin(write(tmp_path / "texts.spacy", ANSWERS), None).sentences)
    assert [read.get(f"doc-{i}", []) for i in range(len(TEXTS))] == [sorted(strings) for _, strings in TEXTS]


def test_a_row_of_words_stays_one_sentence_in_docbin(tmp_path):
    pytest.importorskip("spacy")
    words = ["Bo", "left", ".", "He", "saw", "Uma", "."]
    row = {"words": words, "entities": [entity(0, 1, "Bo", "person"), entity(2, 6, ". He saw Uma", "span")]}
    read = read_docbin(write(tmp_path / "out.spacy", [row, {"words": ["Uma"], "entities": []}]), None)
    assert [s.words for s in read.sentences] == [tuple(words), ("Uma",)]
    assert [[(e.start, e.end) for e in s.entities] for s in read.sentences] == [[(0, 1), (2, 6)], []]


def test_docbin_without_spacy_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    with pytest.raises(UserError, match=r"out.spacy: writing .spacy files needs spaCy; install it with pip"):
        Target(str(tmp_path / "out.spacy"), "auto", False)


def test_csv_has_an_entity_a_row(tmp_path):
    path = write(tmp_path / "out.csv", [*ANSWERS, ERROR, {**OF_WORDS, "id": 5}])
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["row", "id", "start", "end", "text", "label", "score", "error"]
    for number, ((text, _), expected) in enumerate(zip(TEXTS, EXPECTED, strict=True), 1):
        own = [row for row in rows if row["row"] == str(number)]
        assert {(int(r["start"]), int(r["end"]), r["label"]) for r in own} == expected
        assert all(text[int(r["start"]) : int(r["end"])] == r["text"] for r in own)
        assert all((r["score"], r["error"]) == ("0.25", "") for r in own)
    (error,) = [row for row in rows if row["error"]]
    assert (error["row"], error["error"], error["start"]) == ("9", ERROR["error"], "")
    assert [(r["id"], r["start"], r["end"]) for r in rows[-2:]] == [("5", "0", "1"), ("5", "3", "5")]


def test_columns_have_a_document_a_row(tmp_path, said):
    path = write(tmp_path / "out.conll", [*ANSWERS, ERROR, OF_WORDS])
    assert said() == [ERROR["error"]]
    documents = path.read_bytes().decode().split("-DOCSTART-\tO\tO\tO\n\n")
    assert documents.pop(0) == ""
    assert len(documents) == len(ANSWERS) + 2
    assert documents[1] == documents[7] == documents[8] == ""
    lines = [line.split("\t") for line in documents[9].split("\n") if line]
    assert [line[0] for line in lines] == WORDS
    assert [line[1] for line in lines] == ["B-person", "O", "O", "B-ship", "I-ship", "O"]
    for (text, strings), document in zip(TEXTS, documents, strict=False):
        rows = [line.split("\t") for line in document.split("\n") if line]
        assert "".join(row[0] for row in rows) == re.sub(r"[\s\u200b\u200e\u200f\ufeff]", "", text)
        begun = sorted(tag for row in rows for tag in row[1:] if tag.startswith("B-"))
        assert begun == sorted(f"B-{label}" for _, label in strings)
    read = read_columns(path, None, tag_columns=()).sentences
    surfaces = sorted(" ".join(s.words[e.start : e.end]) for s in read for e in s.entities)
    assert surfaces == sorted(
        ["Ajax", "Bo", "Ajax 2", "יוסי", "Zoë", "😀", "Ajax", "Bo", "University of Lima", "Lima", "2", "Ajax of Lima",
         "Lima", "Lima", "Bo", "Ajax Ⅱ"]
    )  # fmt: skip


def test_columns_of_texts_that_are_words_already(tmp_path):
    text = "Dr. Bo's ship\nsank."
    path = write(tmp_path / "out.txt", [{"text": text, "entities": []}], "columns", lines_of_words)
    assert path.read_text() == "-DOCSTART-\tO\n\nDr.\tO\nBo's\tO\nship\tO\n\nsank.\tO\n\n"


def test_json_and_what_is_compressed(tmp_path):
    rows = [*ANSWERS, OF_WORDS, ERROR]
    assert json.loads(write(tmp_path / "out.json", rows).read_text(encoding="utf-8")) == rows
    assert json.loads(write(tmp_path / "none.json", []).read_text()) == []
    for name in ("out.jsonl", "out.ndjson.gz", "out"):
        data = write(tmp_path / name, rows).read_bytes()
        data = gzip.decompress(data) if name.endswith("gz") else data
        assert [json.loads(line) for line in data.decode().split("\n")[:-1]] == rows
    packed = write(tmp_path / "out.csv.gz", rows).read_bytes()
    assert gzip.decompress(packed) == write(tmp_path / "out.csv", rows).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "none.json", "out", "out.csv", "out.csv.gz", "out.json", "out.jsonl", "out.ndjson.gz",
    ]  # fmt: skip
    read = surfaces(read_jsonl(write(tmp_path / "texts.jsonl", ANSWERS), None).sentences)
    assert [read.get(f"doc-{i}", []) for i in range(len(TEXTS))] == [sorted(strings) for _, strings in TEXTS]


def test_html_is_one_page_that_no_text_breaks(tmp_path):
    odd = {"id": "<i>", "text": "half \ud800 </script>", "entities": [], "coverage": {"unread": "<b>"}}
    page = write(tmp_path / "out.html", [*ANSWERS, OF_WORDS, ERROR, odd]).read_bytes().decode()
    assert page.count("</script>") == 1
    assert "<i>" not in page
    assert not re.search(r"""(src|href)=["']|@import|url\(""", page)
    (rows,) = re.findall(r"^const rows = (\[.*?\n\]);$", page, re.MULTILINE | re.DOTALL)
    rows = json.loads(rows.replace(",\n]", "\n]"))
    for row, (text, _), expected in zip(rows, TEXTS, EXPECTED, strict=False):
        assert row["text"] == text
        assert {(a, b, label) for a, b, label, _, _ in row["spans"]} == expected
    assert [row["spans"] for row in rows[8:9]] == [[[0, 2, "person", "", 0.25], [11, 17, "ship", "", 0.25]]]
    assert rows[9]["error"] == ERROR["error"]
    assert (rows[10]["text"], rows[10]["id"]) == (odd["text"], "11: <i>")


DOM = """
const made = {};
class Node {
  constructor(tag) { this.tag = tag; this.children = []; this.style = {}; this.value = ""; }
  append(...nodes) { this.children.push(...nodes); }
  replaceChildren() { this.children = []; }
  addEventListener() {}
  set textContent(text) { this.children = [text]; }
}
const document = {
  createElement: tag => new Node(tag),
  getElementById: id => made[id] ??= new Node(id),
  body: { classList: { toggle() {} } },
};
const location = { hash: "", pathname: "", search: "" };
const addEventListener = () => {};
"""
SHOWN = """
const text = node => typeof node === "string" ? node : node.tag === "small" ? "" : node.children.map(text).join("");
const own = node => [text(node), node.children.at(-1).children[0], node.title];
const marks = node => typeof node === "string" ? [] :
  [...(node.tag === "mark" ? [own(node)] : []), ...node.children.flatMap(marks)];
const cards = made.list.children.map(card => card.children[1]);
console.log(JSON.stringify([cards.map(text), cards.map(marks), made.count.children[0]]));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="runs the page's script")
def test_the_page_shows_each_text_whole_and_marks_what_was_found(tmp_path):
    page = write(tmp_path / "out.html", [*ANSWERS, OF_WORDS, ERROR]).read_bytes().decode()
    (script,) = re.findall(r"<script>(.*)</script>", page, re.DOTALL)
    (tmp_path / "page.js").write_text(DOM + script + SHOWN, encoding="utf-8")
    done = subprocess.run(["node", tmp_path / "page.js"], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    texts, marks, count = json.loads(done.stdout)
    assert texts == [*(text for text, _ in TEXTS), " ".join(WORDS), ""]
    for found, (_, strings) in zip(marks, TEXTS, strict=False):
        assert sorted(map(tuple, found)) == sorted((*pair, "score 0.25") for pair in strings)
    assert count == "10 of 10 texts"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.jsonl", "jsonl"), ("a.NDJSON", "jsonl"), ("a.json.gz", "json"), ("a.conll", "columns"),
        ("a.txt", "columns"), ("a.tsv", "columns"), ("a.spacy", "docbin"), ("a.csv", "csv"), ("a.html", "html"),
        ("folder/", "brat"),
        ("folder", "brat"), ("-", "jsonl"), ("a", "jsonl"), ("/dev/null", "jsonl"),
    ],
)  # fmt: skip
def test_the_form_goes_by_the_name(tmp_path, monkeypatch, name, form):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert form_of(name, "auto") == form
    assert form_of(name, "csv") == "csv"


def test_a_name_that_stands_for_no_form_is_refused():
    with pytest.raises(
        UserError, match=r"a.xlsx: no form of output is called .xlsx; name it, --output_format="
    ):
        form_of("a.xlsx", "auto")
    assert len({s for form in FORMS.values() for s in form.suffixes}) == sum(
        len(f.suffixes) for f in FORMS.values()
    )
