"""The core types, the built-in schemas and schema files."""

import json
import re

import pytest

from toner_jax.data.corpora.schemas import BUILTIN, get_schema
from toner_jax.errors import UserError
from toner_jax.schema import Entity, EntityType, Schema, make_sentence, read_schema

SHIPS = Schema("ships", (EntityType("ship", "Names of vessels.", ("SHP",)), EntityType("port of call")))


def test_conll2003_is_the_papers_table():
    assert [t.text for t in BUILTIN["conll2003"].types] == [
        "organization: Companies, agencies, institutions, etc.",
        "person: Names of people.",
        "miscellaneous: Names of miscellaneous entities "
        "that do not belong to person, organization and location.",
        "location: Names that are locations.",
    ]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("conll2003", "ORG PER MISC LOC"),
        (
            "ontonotes",
            "PERSON NORP FAC ORG GPE LOC PRODUCT EVENT WORK_OF_ART LAW LANGUAGE DATE TIME PERCENT MONEY "
            "QUANTITY ORDINAL CARDINAL",
        ),
        ("jnlpba", "protein DNA RNA cell_type cell_line"),
        ("ace2004", "PER ORG GPE LOC FAC VEH WEA"),
        ("ace2005", "PER ORG GPE LOC FAC VEH WEA"),
        ("wnut17", "corporation creative-work group location person product"),
    ],
)
def test_the_labels_of_the_files_are_the_types_in_order(name, labels):
    schema = get_schema(name)
    assert schema.name == name
    assert tuple(schema.resolve(label) for label in labels.split()) == schema.names


@pytest.mark.parametrize("name", [name for name in BUILTIN if name != "conll2003"])
def test_descriptions_are_sentences_without_the_name(name):
    for t in BUILTIN[name].types:
        assert re.fullmatch(r"[A-Z].{20,119}\.", t.description), t
        assert not re.search(rf"\b{t.name.replace('_', '[ _-]')}s?\b", t.description.lower()), t
    descriptions = [t.description for t in BUILTIN[name].types]
    assert len(set(descriptions)) == len(descriptions)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("SHP", "ship"),
        ("shp", "ship"),
        ("Ship", "ship"),
        ("port-of_Call", "port of call"),
        ("PORT", None),
        ("", None),
    ],
)
def test_labels_resolve_whatever_their_case_and_joints(label, name):
    assert SHIPS.resolve(label) == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "empty or has stray white space"),
        (" ship", "empty or has stray white space"),
        ("two  spaces", "empty or has stray white space"),
        ("Ship", "names are lower case"),
        ("ship, boat", "may not contain commas or brackets"),
        ("ship (large)", "may not contain commas or brackets"),
        ("[ship]", "may not contain commas or brackets"),
    ],
)
def test_names_that_would_break_a_prompt_are_refused(name, problem):
    with pytest.raises(UserError, match=f"entity type {re.escape(repr(name))}: .*{problem}"):
        EntityType(name)


def test_a_label_belongs_to_one_type():
    with pytest.raises(UserError, match="label 'port_of_call' belongs to both 'port of call' and 'ship'"):
        Schema("ships", (EntityType("port of call"), EntityType("ship", tags=("PORT-OF-CALL",))))


def test_a_schema_has_types():
    with pytest.raises(UserError, match="'none' has no entity types"):
        Schema("none", ())


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("s.json", json.dumps(SHIPS.to_json())),
        (
            "s.yaml",
            "name: ships\ntypes:\n"
            "- {name: ship, description: Names of vessels., tags: [SHP]}\n- name: port of call\n",
        ),
        ("s.yml", json.dumps(SHIPS.to_json())),
    ],
)
def test_schema_files(tmp_path, file, content):
    (tmp_path / file).write_text(content, encoding="utf-8")
    assert get_schema(str(tmp_path / file)) == SHIPS


def test_a_mapping_of_descriptions_is_a_schema_in_its_order(tmp_path):
    path = tmp_path / "s.json"
    path.write_text('{"ship": "Names of vessels.", "buoy": ""}', encoding="utf-8")
    assert read_schema(path).types == (EntityType("ship", "Names of vessels."), EntityType("buoy"))


def test_a_file_needs_no_suffix(tmp_path, monkeypatch):
    (tmp_path / "mine").write_text('{"ship": "Names of vessels."}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert get_schema("mine").names == ("ship",)


@pytest.mark.parametrize("name", ["conll", "", "CoNLL2003"])
def test_an_unknown_schema_lists_the_built_in_ones(name):
    listed = "conll2003, ontonotes, jnlpba, ace2004, ace2005, wnut17, ontonotes-authors, wnut17-authors"
    with pytest.raises(UserError, match=f"^schema {name!r}: not one of {listed}, nor the path"):
        get_schema(name)


@pytest.mark.parametrize("file", ["absent.json", "absent.yaml", "folder/absent"])
def test_a_missing_schema_file_is_named(tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^{file}: cannot read the schema"):
        get_schema(file)


# What expands to 10 ** 12 values: as descriptions of types, and as the keys of a mapping.
BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 13))
MERGES = "a0: &a0 {x: y}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 13)
)


TOO_MANY = "its aliases stand for more than 1,000,000 values; write them out"


@pytest.mark.parametrize("file", ["s.yaml", "s.json"])
def test_a_file_that_is_no_schema_is_not_read_to_its_end(tmp_path, file, monkeypatch):
    monkeypatch.setattr("toner_jax.schema._LONGEST_FILE", 100)
    (tmp_path / file).write_text('{"a": "' + "x" * 100)
    with pytest.raises(UserError, match="a schema has at most 100 characters; is this the right file"):
        get_schema(str(tmp_path / file))


def test_aliases_of_yaml_are_followed(tmp_path):
    (tmp_path / "s.yaml").write_text("ship: &vessel Names of vessels.\nboat: *vessel\n")
    assert [t.description for t in get_schema(str(tmp_path / "s.yaml")).types] == ["Names of vessels."] * 2
    (tmp_path / "s.yaml").write_text("a: &a {name: ship}\ntypes: [{<<: *a, description: A vessel.}]\n")
    assert get_schema(str(tmp_path / "s.yaml")).types[0].description == "A vessel."


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("s.json", "{", "not well-formed"),
        ("s.yaml", "a: [", "not well-formed"),
        ("s.json", "[1]", "holds a mapping, not a list"),
        ("s.json", '{"types": [{"description": "x"}]}', "a schema is"),
        ("s.json", '{"types": 3}', "a schema is"),
        (
            "s.json",
            '{"types": [{"name": "meal", "tag": ["DISH"]}]}',
            "unknown key 'tag'; did you mean tags\\?; there are name, description, tags$",
        ),
        pytest.param("s.yaml", BOMB, f"not well-formed: {TOO_MANY}", id="bomb"),
        pytest.param("s.yaml", MERGES, f"not well-formed: {TOO_MANY}", id="merges"),
        ("s.yaml", "ship: &a [*a]", "not well-formed: an alias stands for what it is part of"),
        pytest.param("s.yaml", "a: " + "[" * 5000, "not well-formed: maximum recursion depth", id="deep"),
    ],
)
def test_a_malformed_schema_file_is_named_on_one_line(tmp_path, file, content, problem):
    path = tmp_path / file
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: .*{problem}") as caught:
        get_schema(str(path))
    assert "\n" not in str(caught.value)


def test_entities_are_in_order_of_appearance_without_duplicates():
    found = [Entity(2, 3, "ship"), Entity(0, 1, "ship"), Entity(0, 3, "port of call"), Entity(0, 1, "ship")]
    found += [Entity(2, 3, "port of call")]
    sentence = make_sentence("s", ["Port", "of", "Rotterdam"], found, SHIPS)
    assert sentence.entities == (
        Entity(0, 3, "port of call"),
        Entity(0, 1, "ship"),
        Entity(2, 3, "ship"),
        Entity(2, 3, "port of call"),
    )
    assert sentence.types() == ("port of call", "ship")
    assert sentence.surface(sentence.entities[0]) == "Port of Rotterdam"
    assert sentence.char_span(sentence.entities[2]) == (8, 17)


@pytest.mark.parametrize(
    ("entity", "problem"),
    [
        (Entity(0, 3, "ship"), r"span \[0, 3\) lies outside its 2 words"),
        (Entity(1, 1, "ship"), r"span \[1, 1\) lies outside its 2 words"),
        (Entity(-1, 1, "ship"), r"span \[-1, 1\) lies outside its 2 words"),
        (Entity(0, 1, "boat"), "type 'boat' is not in schema 'ships'"),
    ],
)
def test_impossible_entities_are_refused(entity, problem):
    with pytest.raises(UserError, match=f"^sentence s: {problem}$"):
        make_sentence("s", ["a", "b"], [entity], SHIPS)
