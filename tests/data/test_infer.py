"""Schemas from labels."""

import subprocess
import sys
import unicodedata
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given
from sound import labels_of

from toner_jax.config import base
from toner_jax.data.corpora.schemas import BUILTIN, get_schema
from toner_jax.data.formats.registry import FORMATS
from toner_jax.data.infer import infer_schema, write_schema_file
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError
from toner_jax.schema import EntityType


def description(schema, name):
    return BUILTIN[schema].types[BUILTIN[schema].index[name]].description


@pytest.mark.parametrize(
    ("labels", "types"),
    [
        (["SHIP"], [("ship", "", ("SHIP",))]),
        (
            ["b", "CellKind", "a (x), y", "Two-part Name"],
            [
                ("a_x_y", "", ("a (x), y",)),
                ("b", "", ("b",)),
                ("cell_kind", "", ("CellKind",)),
                ("two_part_name", "", ("Two-part Name",)),
            ],
        ),
        (
            ["MISC", "PER", "LOC", "ORG"],
            [
                ("location", description("conll2003", "location"), ("LOC",)),
                ("miscellaneous", description("conll2003", "miscellaneous"), ("MISC",)),
                ("organization", description("conll2003", "organization"), ("ORG",)),
                ("person", description("conll2003", "person"), ("PER",)),
            ],
        ),
        (
            ["LOC", "GPE", "WORK_OF_ART"],
            [
                ("gpe", description("ontonotes", "gpe"), ("GPE",)),
                ("location", description("ontonotes", "location"), ("LOC",)),
                ("work_of_art", description("ontonotes", "work_of_art"), ("WORK_OF_ART",)),
            ],
        ),
        (
            ["WEA", "VEH", "GPE", "LANGUAGE"],
            [
                ("gpe", description("ace2004", "gpe"), ("GPE",)),
                ("language", description("ontonotes", "language"), ("LANGUAGE",)),
                ("vehicle", description("ace2004", "vehicle"), ("VEH",)),
                ("weapon", description("ace2004", "weapon"), ("WEA",)),
            ],
        ),
        (
            ["PER", "person", "Person"],
            [("person", description("conll2003", "person"), ("PER", "Person", "person"))],
        ),
        (["CellType"], [("cell_type", description("jnlpba", "cell_type"), ("CellType",))]),
    ],
)
def test_types_of_labels(labels, types):
    for order in (labels, labels[::-1], labels * 2):
        schema = infer_schema(order, "mine")
        assert schema.name == "mine"
        assert schema.types == tuple(EntityType(*t) for t in types)
        assert all(schema.resolve(label) for label in labels)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["m³"], {"m3": ("m³",)}),
        (["ﬁnance", "Ｓｈｉｐ"], {"finance": ("ﬁnance",), "ship": ("Ｓｈｉｐ",)}),
        (["m3", "m³"], {"m3": ("m3",), "m3_2": ("m³",)}),
        (["m3", "m³", "m₃", "m3_2"], {"m3": ("m3",), "m3_2": ("m3_2",), "m3_3": ("m³",), "m3_4": ("m₃",)}),
        (["ship", "(ship)", "[ship]"], {"ship": ("ship",), "ship_2": ("(ship)",), "ship_3": ("[ship]",)}),
        (["sh\u200bip", "ship", "SHIP", "sh\x07ip"], {"ship": ("SHIP", "sh\x07ip", "ship", "sh\u200bip")}),
        (["\ufeffa\tb\u2028c", "x<y>{z}~"], {"a_b_c": ("\ufeffa\tb\u2028c",), "x_y_z": ("x<y>{z}~",)}),
        (["cellType", "celltype"], {"cell_type": ("cellType", "celltype")}),
        (["ǅ", "İz"], {"dž": ("ǅ",), "i̇z": ("İz",)}),
        (["PER", "ＰＥＲ"], {"person": ("PER", "ＰＥＲ")}),
        (["R&D", "C++", "C"], {"c": ("C",), "c++": ("C++",), "r&d": ("R&D",)}),
    ],
)
def test_names_are_spelled_as_tokenizers_read_them_and_labels_are_tags(labels, names):
    schema = infer_schema(labels, "mine")
    assert {t.name: t.tags for t in schema.types} == names
    for name, tags in names.items():
        assert unicodedata.normalize("NFKC", name) == name
        assert [schema.resolve(tag) for tag in tags] == [name] * len(tags)


@pytest.mark.parametrize("labels", [["\u200b"], ["<>"], [], ["()"], [" "], ["PER", ","]])
def test_what_names_nothing_is_refused(labels):
    with pytest.raises(UserError, match=r"data\.schema"):
        infer_schema(labels, "mine")


@given(
    st.lists(
        st.text(st.sampled_from("aAbB³3_- (),<\u200b\tİﬁPERperCellType"), min_size=1, max_size=5), max_size=8
    )
)
def test_any_labels_have_names_of_their_own_or_are_refused(labels):
    try:
        schema = infer_schema(labels, "mine")
    except UserError as error:
        refused = str(error)
        assert "give" in refused
        assert "data.schema" in refused
        return
    assert sorted(tag for t in schema.types for tag in t.tags) == sorted(set(labels))
    for t in schema.types:
        assert unicodedata.normalize("NFKC", t.name) == t.name
        assert [schema.resolve(tag) for tag in t.tags] == [t.name] * len(t.tags)


def test_a_written_schema_reads_back(tmp_path):
    schema = infer_schema(["GPE", "Schiffe", "Ærø"], "mine")
    write_schema_file(schema, tmp_path / "mine.json")
    assert get_schema(str(tmp_path / "mine.json")) == schema
    assert '"description": ""' in (tmp_path / "mine.json").read_text(encoding="utf-8")


FILES = {
    "columns": "a B-Ship\nb I-Ship\n\nc I-Port\nd B-Port\n",
    "csv": "Word,Tag\na,B-Ship\nb,I-Ship\nc,B-Port\nd,B-Port\n",
    "jsonl": '{"text": "abc", "entities": [[0, 1, "Ship"], [1, 2, "Port"], [2, 3, "Port"]]}',
    "label_studio": '[{"text": "abc", "label": [{"start": 0, "end": 1, "labels": ["Ship", "Port"]}, '
    '{"start": 1, "end": 3, "labels": ["Port"]}]}]',
    "doccano": '{"text": "abc", "label": [[0, 1, "Ship"], [1, 2, "Port"], [2, 3, "Port"]]}',
}


@pytest.mark.parametrize("format", FILES)
def test_labels_are_collected_without_a_schema(tmp_path, format):
    (tmp_path / "file").write_text(FILES[format])
    counts = labels_of(tmp_path / "file", format, DataOptions.from_section(base().data))
    assert counts == {"Port": 2, "Ship": 1}
    assert list(counts) == ["Port", "Ship"]


def test_every_format_of_files_is_read_here_or_by_itself():
    readable = {name for name, format in FORMATS.items() if format.read}
    assert readable == {*FILES, "brat", "docbin", "json", "ontonotes", "ace", "hub", "auto"}
    assert set(FORMATS) - readable == {"generated"}


def test_the_program_writes_a_schema(tmp_path):
    (tmp_path / "train.txt").write_text(FILES["columns"])
    root = Path(__file__).resolve().parents[2]

    def run(*arguments):
        program = [sys.executable, str(root / "scripts" / "infer_schema.py"), *map(str, arguments)]
        return subprocess.run(
            program, cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=False
        )

    output = tmp_path / "ships.json"
    (tmp_path / "dev.tsv").write_text("token\tlabel\na\tB-Ship\nb\tB-Berth\n")
    both = [f"--input={tmp_path / name}" for name in ("train.txt", "dev.tsv")]
    done = run(*both, "--format=columns", f"--output={tmp_path / 'both.json'}")
    assert (done.returncode, done.stdout) == (
        0,
        "berth: 1 entities (Berth), none in train.txt\nport: 2 entities (Port), none in dev.tsv\n"
        "ship: 2 entities (Ship)\n",
    )
    assert f"dev.tsv: header: 1, the first at {tmp_path / 'dev.tsv'}:1\n" in done.stderr
    (tmp_path / "counted.tsv").write_text("1\ta\tB-Ship\n2\tb\tO\n")
    # Of labels that are one type, `I-` after `B-` goes on with the entity, however it is written.
    (tmp_path / "cases.txt").write_text("a\tB-Ship\nb\tI-SHIP\nc\tO\nd\tB-ship\n")
    out = tmp_path / "new/folder/cases.json"
    done = run(f"--input={tmp_path / 'cases.txt'}", "--format=columns", f"--output={out}")
    assert (done.returncode, done.stdout) == (0, "ship: 2 entities (SHIP, Ship, ship)\n")
    assert done.stderr == ""
    arguments = [f"--input={tmp_path / 'counted.tsv'}", f"--output={tmp_path / 'counted.json'}"]
    assert run(*arguments, "--config.data.token_column=1").stdout == "ship: 1 entities (Ship)\n"
    for key, problem in (
        ("seed=1", "seed: has no part in reading data"),
        ("data.token=1", "data.token: no such"),
    ):
        assert run(*arguments, f"--config.{key}").stderr.startswith(f"toner-jax: {problem}")
    done = run(f"--input={tmp_path / 'train.txt'}", f"--output={output}")
    assert (done.returncode, done.stderr) == (
        0,
        "train.txt: detected format columns\n"
        f"train.txt: i_without_b: 1, the first at {tmp_path / 'train.txt'}:4\n",
    )
    assert done.stdout == "port: 2 entities (Port)\nship: 1 entities (Ship)\n"
    assert get_schema(str(output)).names == ("port", "ship")
    done = run(f"--input={tmp_path / 'train.txt'}", f"--output={output}")
    assert (done.returncode, done.stderr) == (
        2,
        f"toner-jax: {output}: exists; give the schema a new file\n",
    )
