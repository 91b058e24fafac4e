"""`toner-jax stats`, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shared_data import SHARED, needs_shared

from toner_jax.commands.app import door
from toner_jax.commands.stats import verdict
from toner_jax.data.corpora.published import Comparison

main = door("stats")
ROOT = Path(__file__).resolve().parents[1]


def arguments(config: str, folder: Path | str, *more: str) -> list[str]:
    return [f"--config={ROOT / 'configs' / config}", f"--config.data.dir={folder}", *more]


@pytest.mark.slow
@needs_shared
def test_wnut17(capsys, tmp_path):
    picture = tmp_path / "wnut17.svg"
    argv = arguments("wnut17.py", SHARED / "data" / "wnut17", "--json", "--check", f"--picture={picture}")
    assert main(argv) == 0
    out, err = capsys.readouterr()
    figures = json.loads(out)
    assert {split: (f["sentences"], f["entities"]) for split, f in figures.items()} == {
        "train": (3_394, 1_975),
        "dev": (1_009, 836),
        "test": (1_287, 1_079),
    }
    assert figures["train"]["per_type"] == {
        "corporation": 221, "creative_work": 140, "group": 264, "location": 548, "person": 660, "product": 142,
    }  # fmt: skip
    assert figures["test"]["without_entities"] == 598
    assert "pieces" not in figures["test"]
    assert err == "wnut17: the sizes are those of: shared task (IOB2)\n"
    assert picture.read_text().count("<svg") == 1


@pytest.mark.slow
@needs_shared
def test_jnlpba_in_pieces(capsys):
    argv = arguments(
        "jnlpba.py", SHARED / "data" / "jnlpba", "--splits=test", "--json", f"--tokenizer={SHARED / 't5_vocab'}",
        "--config.tokenizer.backend=hf",
    )  # fmt: skip
    assert main(argv) == 0
    test = json.loads(capsys.readouterr().out)["test"]
    assert (test["sentences"], test["entities"], test["over_limit"]) == (3_856, 8_662, 0)
    assert test["per_type"] == {
        "protein": 5_067,
        "dna": 1_056,
        "rna": 118,
        "cell_type": 1_921,
        "cell_line": 500,
    }
    assert test["alignment_ceiling"] == pytest.approx(8_650 / 8_662)
    assert test["depth"] == {"1": 8_662}
    assert test["words"]["max"] < test["pieces"]["max"]


def test_posts_of_our_own(capsys, own, tmp_path):
    picture = tmp_path / "wnut17.svg"
    assert main(arguments("wnut17.py", own / "data" / "wnut17", "--json", f"--picture={picture}")) == 0
    figures = json.loads(capsys.readouterr().out)
    assert {split: (f["sentences"], f["entities"]) for split, f in figures.items()} == {
        "train": (10, 19),
        "dev": (4, 6),
        "test": (5, 10),
    }
    assert figures["train"]["per_type"] == {
        "corporation": 1, "creative_work": 2, "group": 3, "location": 5, "person": 7, "product": 1,
    }  # fmt: skip
    assert figures["test"]["without_entities"] == 1
    assert "pieces" not in figures["test"]
    assert picture.read_text().count("<svg") == 1


def test_nested_data_of_our_own_in_pieces(capsys, own):
    folder = own / "data" / "genia_nested"
    argv = arguments(
        "jnlpba.py", folder, "--splits=test", "--json", f"--tokenizer={own / 't5_vocab'}",
        "--config.tokenizer.backend=hf", "--config.data.test=genia.dev.iob2", "--config.data.tag_columns=()",
    )  # fmt: skip
    assert main(argv) == 0
    test = json.loads(capsys.readouterr().out)["test"]
    assert (test["sentences"], test["entities"], test["over_limit"]) == (10, 37, 0)
    assert test["alignment_ceiling"] == pytest.approx(36 / 37)
    assert test["depth"] == {"1": 23, "2": 12, "3": 2}
    assert test["words"]["max"] < test["pieces"]["max"]


@pytest.fixture
def folder(tmp_path):
    for name, word in (
        ("wnut17train.conll", "a"),
        ("emerging.dev.conll", "b"),
        ("emerging.test.annotated", "a"),
    ):
        (tmp_path / name).write_text(f"{word}\tB-person\nc\tI-person\n\nd\tO\n")
    return tmp_path


def test_a_table_for_people(capsys, folder):
    assert main(arguments("wnut17.py", folder)) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["│", "entities", "│", "1", "│", "1", "│", "1", "│"] in lines
    assert ["│", "also", "in", "train", "│", "0", "│", "1", "│", "2", "│"] in lines
    assert " ".join(lines[-1]) == (
        "identical sentences: 1 of 2 in dev also in train; 2 of 2 in test also in train; 1 of 2 in test also in dev"
    )


def test_sizes_that_are_not_published_end_with_1(capsys, folder, tmp_path):
    picture = tmp_path / "x.png"
    assert main(arguments("wnut17.py", folder, "--check", f"--picture={picture}")) == 1
    out = capsys.readouterr().out
    assert "wnut17: the sizes are of no published copy (IOB2)\n" in out
    assert "  shared task, dev: 1,009 sentences and 836 entities published, 2 and 1 found" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(arguments("wnut17.py", folder, "--check", "--config.data.name=custom")) == 1
    assert main(arguments("quickstart.py", "", "--check", "--splits=dev")) == 1
    assert "generated: no published size is known" in capsys.readouterr().out


def test_the_tagging_scheme_is_told(capsys, tmp_path):
    tags = {"eng.train": "I-PER", "eng.testa": "I-PER", "eng.testb": "B-PER"}
    for name, tag in tags.items():
        (tmp_path / name).write_text(f"{name} NN O {tag}\n")
    assert main(arguments("conll2003.py", tmp_path, "--check", "--splits=train,dev")) == 1
    assert "conll2003: the sizes are of no published copy (IOB1)\n" in capsys.readouterr().out
    assert main(arguments("conll2003.py", tmp_path, "--check")) == 1
    assert "(IOB1, IOB2)\n" in capsys.readouterr().out


def test_raw_text_is_compared_by_its_entities():
    rows = [
        Comparison("copy", "train", (10, 5), (8, 5), raw=True),
        Comparison("copy", "test", (4, 2), (4, 2)),
    ]
    assert verdict("ships", rows, " (IOB2)") == (
        "ships: the sizes are those of: copy (IOB2); train came as raw text, which is split into sentences here, "
        "8 for 10",
        True,
    )
    text, matches = verdict("ships", [rows[0]._replace(found=(8, 4)), rows[1]], "")
    assert (matches, text.splitlines()[1:]) == (
        False,
        ["  copy, train: 10 sentences and 5 entities published, 8 and 4 found"],
    )


def test_schemes_of_every_format_are_told(capsys, tmp_path):
    rows = {"train": ["ship", "O"], "dev": ["B_ship", "I_ship"], "test": ["B-ship", "O"]}
    for split, tags in rows.items():
        (tmp_path / f"{split}.jsonl").write_text(json.dumps({"words": ["Ajax", "sank"], "tags": tags}) + "\n")
    assert main(arguments("custom.py", tmp_path, "--config.data.format=jsonl", "--check")) == 1
    out = capsys.readouterr().out
    assert "tags of train: IO; labels without prefixes, so neighbours of one label are one entity\n" in out
    assert "tags of dev: IOB2, written B_TYPE\n" in out
    for split in rows:
        (tmp_path / f"{split}.jsonl").write_text(
            json.dumps({"words": ["Ajax", "sank"], "tags": ["B-ORG", "E-ORG"]}) + "\n"
        )
    keys = ("--config.data.format=jsonl", "--config.data.name=wnut17", "--config.data.schema=conll2003")
    keys += tuple(f"--config.data.{split}={split}.jsonl" for split in rows)
    assert main(arguments("wnut17.py", tmp_path, *keys, "--check")) == 1
    assert "wnut17: the sizes are of no published copy (IOBES)\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--config.data.dir=/nowhere"], "toner-jax: /nowhere: no such folder (data.dir)"),
        (["--config.data.folder=x"], "folder"),
        (["--splits=test,exam"], "toner-jax: split 'exam': expected one of train, dev, test"),
        (
            ["--splits="],
            "toner-jax: --splits: expected a value, and this one is empty; see toner-jax stats --help",
        ),
        (["--picture=x.gif"], "toner-jax: --picture: 'x.gif' is no .svg or .png file"),
        (
            ["--picture=/dev/null/x.svg"],
            "toner-jax: --picture: /dev/null/x.svg cannot be written (/dev/null is no ",
        ),
        (["--tokenizer=/nowhere"], "toner-jax: /nowhere/spiece.model: no such tokenizer file"),
        (["more"], "toner-jax: unexpected argument 'more'"),
    ],
)
def test_bad_arguments_are_one_line(capsys, folder, more, message):
    assert main(arguments("wnut17.py", folder, *more)) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_no_config(capsys):
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("toner-jax: --config is missing; see toner-jax stats --help")


def test_repairs_are_listed_with_their_places(capsys, tmp_path):
    (tmp_path / "train.jsonl").write_text(
        '{"text": "Rain in Lima .", "entities": [[7, 12, "LOC"]]}\n\n'
        '{"text": "Mina left .", "entities": [[0, 4, "PER"], [0, 4, "PER"]]}\n{"text": " ", "entities": []}\n'
    )
    argv = arguments("custom.py", tmp_path, "--config.data.format=jsonl", "--splits=train", "--repairs")
    assert main(argv) == 0
    file = tmp_path / "train.jsonl"
    found = capsys.readouterr().out.split("train: ")[1:]
    assert [" ".join(line.split()) for line in found] == [
        f"span_trimmed: {file}:1", f"duplicate_entity: {file}:3", f"empty_text: {file}:4",
    ]  # fmt: skip
    assert main([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["train"]["repaired_at"]["span_trimmed"] == [f"{file}:1"]


def test_entities_that_end_inside_words_are_listed_with_their_texts(capsys, tmp_path):
    """Offsets that are off by one, it may be: nothing else tells where."""
    (tmp_path / "train.jsonl").write_text(
        '{"id": "a7", "text": "Rain in Lima .", "entities": [[9, 12, "LOC"]]}\n'
    )
    argv = arguments("custom.py", tmp_path, "--config.data.format=jsonl", "--splits=train", "--repairs")
    assert main(argv) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.endswith(
        "train: unreachable: train-0: 'ima' (location), characters 9 to 12 of 'Rain in Lima .'"
    ), shown
