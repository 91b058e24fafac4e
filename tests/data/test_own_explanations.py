"""Explanations that stand in the rows of a user's own file."""

import json
from pathlib import Path

import pytest

from toner_jax.data.formats.doccano import read_doccano
from toner_jax.data.formats.jsonl import read_jsonl, write_jsonl
from toner_jax.data.sentences import dump_sentences, parse_sentences

SPAN = {"start": 8, "end": 12, "label": "LOC"}
ROWS = {
    "characters": {"text": "Rain in Lima.", "entities": [SPAN]},
    "words": {"words": ["Rain", "in", "Lima"], "entities": [{"start": 2, "end": 3, "label": "LOC"}]},
    "tags": {"words": ["Rain", "in", "Lima"], "tags": ["O", "O", "B-LOC"]},
    "tags with text": {"text": "Rain in Lima", "words": ["Rain", "in", "Lima"], "tags": ["O", "O", "B-LOC"]},
    "characters with words": {"text": "Rain in Lima", "words": [[0, 4], [5, 7], [8, 12]], "entities": [SPAN]},
}


def written(folder: Path, *rows: dict) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_every_kind_of_row_keeps_its_explanation(tmp_path, row):
    path = written(
        tmp_path, {**row, "explanation": "Lima is\n a city."}, row, {**row, "explanation": ["other"]}
    )
    read = read_jsonl(path, None, "train")
    assert [s.explanation for s in read.sentences] == ["Lima is a city.", "", ""]
    kept = parse_sentences(dump_sentences(read.sentences).splitlines(), "kept")
    assert kept == list(read.sentences)
    write_jsonl(read.sentences, tmp_path / "again.jsonl")
    again = read_jsonl(tmp_path / "again.jsonl", None, "train").sentences
    assert [s.explanation for s in again] == ["Lima is a city.", "", ""]


def test_doccano(tmp_path):
    row = {"text": "Rain in Lima.", "label": [[8, 12, "LOC"]]}
    read = read_doccano(written(tmp_path, {**row, "explanation": "A city."}, row), None, "train")
    assert [s.explanation for s in read.sentences] == ["A city.", ""]


def test_a_text_of_several_sentences_has_none(tmp_path):
    row = {"text": "Rain in Lima. It is cold in Oslo.", "entities": [SPAN], "explanation": "Lima is a city."}
    read = read_jsonl(written(tmp_path, row), None, "train")
    assert [s.explanation for s in read.sentences] == ["", ""]
    assert dict(read.repairs) == {"explanation_of_sentences": 1}


def test_what_has_none_is_kept_as_before(tmp_path):
    """Digests of finished runs are made of these lines."""
    read = read_jsonl(written(tmp_path, ROWS["words"]), None, "train")
    assert "explanation" not in dump_sentences(read.sentences)
