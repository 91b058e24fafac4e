"""What training, evaluation and `predict` read of a text is the same: with its annotation or without, in any format."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toner_jax import config as configuration
from toner_jax.data.documents import Document, Span, read_documents
from toner_jax.data.formats.registry import read_path
from toner_jax.data.options import DataOptions
from toner_jax.inference.texts import sentence_groups
from toner_jax.schema import EntityType, Schema
from toner_jax.text.words import Reading

SCHEMA = Schema("any", (EntityType("name"), EntityType("dose")))
TEXTS = [
    "Mt. Everest was climbed by Maj. Tom in 1953. He took 663mg of aspirin, i.e. too much. “Yahoo!” said B. Lee.",
    "IL-2-mediated NF-kappa B. LPS activates NF-YA/B (10⁻³ M). It binds.",
    "我2008年去北京大学。她来了！王伟在IBM工作。",
    "東京でPythonエンジニアを募集しています。大阪にも。",
    "Am 3. Mai kam Hr. Müller z. B. nach St. Gallen. Er nahm 5mg.",
    "M. Dupont habite à l'Oréal, no. 5. Il s'appelle J.-P. Martin…",
    "กรุงเทพมหานคร 서울에서 만났다.\n\nA headline\nof two lines",
    "\u200b\ufeffLima.\u200b  (Oslo) \u200e",
]


def annotated(text: str, seed: int) -> list[tuple[int, int, str]]:
    """Any spans: at words, inside words, over sentences."""
    rng = random.Random(seed)
    seen = [i for i, c in enumerate(text) if not c.isspace() and c not in "\u200b\u200e\ufeff"]
    pairs = [sorted(rng.choices(seen, k=2)) for _ in range(6)]
    return sorted({(a, b + 1, rng.choice(SCHEMA.names)) for a, b in pairs})


def jsonl(folder, documents):
    lines = [{"text": t, "entities": [list(s) for s in spans]} for t, spans in documents]
    (folder / "d.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return folder / "d.jsonl"


def doccano(folder, documents):
    lines = [
        {"id": i, "text": t, "label": [list(s) for s in spans]} for i, (t, spans) in enumerate(documents)
    ]
    (folder / "d.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return folder / "d.jsonl"


def label_studio(folder, documents):
    def result(a, b, label):
        value = {"start": a, "end": b, "labels": [label]}
        return {"type": "labels", "from_name": "label", "to_name": "text", "value": value}

    tasks = [
        {"id": i, "data": {"text": t}, "annotations": [{"result": [result(*s) for s in spans]}]}
        for i, (t, spans) in enumerate(documents)
    ]
    (folder / "d.json").write_text(json.dumps(tasks), encoding="utf-8")
    return folder / "d.json"


def brat(folder, documents):
    for i, (text, spans) in enumerate(documents):
        (folder / f"{i}.txt").write_text(text, encoding="utf-8", newline="\n")
        lines = [
            f"T{n}\t{label} {a} {b}\t{' '.join(text[a:b].split(chr(10)))}\n"
            for n, (a, b, label) in enumerate(spans)
        ]
        (folder / f"{i}.ann").write_text("".join(lines), encoding="utf-8", newline="\n")
    return folder


def options(**changes) -> DataOptions:
    config = configuration.base()
    for key, value in changes.items():
        config.data[key] = value
    return DataOptions.from_section(config.data)


@pytest.mark.parametrize("edges", ["atoms", "words"])
@pytest.mark.parametrize("write", [jsonl, doccano, label_studio, brat])
def test_every_format_reads_a_text_as_predict_does(tmp_path, write, edges):
    read = {}
    for kind in ("with gold", "without"):
        folder = tmp_path / kind
        folder.mkdir()
        documents = [(t, annotated(t, i) if kind == "with gold" else []) for i, t in enumerate(TEXTS)]
        read[kind] = read_path(
            write(folder, documents), write.__name__, SCHEMA, "", options(edges=edges)
        ).sentences
    predicted = [s for group in sentence_groups(TEXTS, 3, Reading(edges)) for _, s, _ in group]
    assert (
        [s.words for s in read["with gold"]]
        == [s.words for s in read["without"]]
        == [s.words for s in predicted]
    )
    strings = [[s.text[a:b] for a, b in s.offsets] for s in read["with gold"]]
    assert strings == [[s.text[a:b] for a, b in s.offsets] for s in predicted]
    assert sum(len(s.gold) for s in read["with gold"]) == sum(
        len(annotated(t, i)) for i, t in enumerate(TEXTS)
    )
    assert not any(s.gold for s in read["without"])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"aB.! \n1,京ก'\"(", "Mr. ", "l'", "\u200b", "e\u0301", "👩‍🚀", "\r\n"]), max_size=40
    ),
    st.sampled_from(["atoms", "words"]),
    st.booleans(),
    st.integers(0, 99),
)
def test_annotation_changes_nothing_of_what_is_read(parts, edges, split, seed):
    text = "x" + "".join(parts)
    reading = Reading(edges, split_sentences=split)
    spans = tuple(Span(a, b, label, "f") for a, b, label in annotated(text, seed))
    (first, *_), (second, *_) = (
        read_documents([Document("d", text, given)], SCHEMA, reading=reading) for given in (spans, ())
    )
    predicted = [s for group in sentence_groups([text], 5, reading) for _, s, _ in group]
    assert [s.words for s in first] == [s.words for s in second] == [s.words for s in predicted]
    assert sum(len(s.gold) for s in first) == len(spans)
