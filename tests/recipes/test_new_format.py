"""A format of our own, as a contributor would add one: `Ann/PER ran`, a sentence a line; a reader and an entry."""

from __future__ import annotations

from dataclasses import replace

from toner_jax.config import base
from toner_jax.data.documents import Document, Span, read_documents
from toner_jax.data.formats.format import count_labels, file_format
from toner_jax.data.formats.registry import FORMATS, format_of, read_path
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.data.reading import read_lines

OPTIONS = DataOptions.from_section(base().data)


def read_slashes(path, schema, split, options):
    def document(i, line):
        text, spans = "", []
        for word in line.split():
            word, _, label = word.partition("/")
            if label:
                spans.append(Span(len(text), len(text) + len(word), label, f"{path}:{i}"))
            text += word + " "
        return Document(None, text, tuple(spans))

    documents = [document(i, line) for i, line in enumerate(read_lines(path), 1) if line]
    return read_documents(documents, schema, split, pretokenized=True)


TOY = file_format(read_slashes, (".slashes",), lambda sample: "/PER" in sample.first)


def test_a_new_format_is_a_reader_and_an_entry(tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "slashes", TOY)
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.slashes").write_text(f"Ann/PER {split}\n")
    for name in ("slashes", "auto"):
        dataset = load_dataset(replace(OPTIONS, format=name, dir=str(tmp_path), name="toy"))
        assert {split: s[0].words for split, s in dataset.splits.items()} == {
            split: ("Ann", split) for split in ("train", "dev", "test")
        }
        read = read_path(tmp_path / "dev.slashes", name, None, "", OPTIONS)
        assert count_labels(read) == {"PER": 1}
    assert format_of(tmp_path / "dev.slashes", "auto") == "slashes"


def test_what_a_format_of_others_reads_is_not_cached(tmp_path, monkeypatch):
    """Nobody knows here which files it looks at, and its code may change as they may."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(FORMATS, "slashes", TOY)
    for name in ("Ann", "Bob"):
        (tmp_path / "train.slashes").write_text(f"{name}/PER ran\n")
        options = replace(OPTIONS, format="slashes", dir=str(tmp_path), name="toy")
        assert load_dataset(options, ["train"]).splits["train"][0].words[0] == name
    assert not (tmp_path / "cache").exists()
