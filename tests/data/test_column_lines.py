"""Lines of column files that are no rows: comments, headers, what CoNLL-U has of its own."""

import pytest

from toner_jax.data.formats.columns import read_columns
from toner_jax.data.formats.registry import format_of
from toner_jax.errors import UserError


@pytest.fixture
def read(tmp_path):
    def read(content: str, token_column: int = 0, tag_columns: tuple[int, ...] = (-1,)):
        (tmp_path / "x.conll").write_text(content)
        path = tmp_path / "x.conll"
        found = read_columns(path, None, split="s", token_column=token_column, tag_columns=tag_columns)
        return [
            (" ".join(s.words), [(s.surface(e), e.type) for e in s.entities], s.doc_id)
            for s in found.sentences
        ], {
            reason: [int(at.rpartition(":")[2]) for at in found.repairs.places(reason)]
            for reason in found.repairs
        }

    return read


AJAX = [("Ajax sank", [("Ajax", "SHIP")], None)]

READ = {
    "MultiCoNER": ("# id 7f-a\tdomain=en\nAjax _ _ B-SHIP\nsank _ _ O\n\n", {}, AJAX, {"comment": [1]}),
    "CoNLL-U": (
        "# sent_id = a\n# text = O\n1\tAjax\tB-SHIP\t-\n2\tsank\tO\t-\n",
        {"token_column": 1, "tag_columns": (2,)}, AJAX, {"comment": [1, 2]},
    ),
    "comments as wide as rows": ("# a = O\nAjax x y B-SHIP\nsank x y O\n", {}, AJAX, {"comment": [1]}),
    "GermEval": (
        "#\thttp://x.org [2010]\n1\tAjax\tB-SHIP\tO\n2\tsank\tO\tO\n",
        {"token_column": 1, "tag_columns": (2, 3)}, AJAX, {"comment": [1]},
    ),
    "two columns": ("# of ships\nAjax B-SHIP\nsank O\n", {}, AJAX, {"comment": [1]}),
    "windows": ("# of ships\r\n\r\n#\r\nAjax B-SHIP\r\nsank O\r\n", {}, AJAX, {"comment": [1, 3]}),
    "header": ("Token\tLabel\nAjax\tB-SHIP\nsank\tO\n", {}, AJAX, {"header": [1]}),
    "header of types": ("token\tentity_type\nAjax\tship\nsank\tO\n", {}, [
        ("Ajax sank", [("Ajax", "ship")], None)], {"header": [1]}),
    "header of forms": ("FORM NER_label\nAjax ship\nsank O\n", {}, [
        ("Ajax sank", [("Ajax", "ship")], None)], {"header": [1]}),
    "header again": ("token tag\nAjax ship\n\ntoken tag\nsank O\n", {}, [
        ("Ajax", [("Ajax", "ship")], None), ("sank", [], None)], {"header": [1, 4]}),
    "a word like a header": ("token tag\nWord app\nran O\n", {}, [
        ("Word ran", [("Word", "app")], None)], {"header": [1]}),
    "a word like a header whose label others have": ("Word app\nran O\n\nExcel app\n", {}, [
        ("Word ran", [("Word", "app")], None), ("Excel", [("Excel", "app")], None)], {}),
    "parts of speech and chunks": ("-DOCSTART- -X- O O\n\nAjax NNP B-NP B-SHIP\nsank VBD B-VP O\n", {}, [
        ("Ajax sank", [("Ajax", "SHIP")], "s-doc-1")], {}),
    "chunks alone": ("Ajax NNP B-NP O\nsank VBD B-VP O\n", {}, [("Ajax sank", [], None)], {}),
    "two levels, of which one is named": ("Ajax B-SHIP B-SHIP\nsank O O\n", {"tag_columns": (2,)}, AJAX, {}),
    "a comment like a plain row": ("# PRODUCT\nAjax ship\nsank O\n", {}, [
        ("Ajax sank", [("Ajax", "ship")], None)], {"comment": [1]}),
    "header after a comment": (
        "# ships\nword pos tag\nAjax x B-SHIP\nsank x O\n", {}, AJAX, {"comment": [1], "header": [2]},
    ),
    "a number sign at the beginning": ("# O\nAjax B-SHIP\n", {}, [("# Ajax", [("Ajax", "SHIP")], None)], {}),
    "a number sign that is an entity": ("# B-SHIP\n1 I-SHIP\n\n# O\n", {}, [
        ("# 1", [("# 1", "SHIP")], None), ("#", [], None)], {}),
    "a number sign with a plain label": ("# ship\nAjax ship\nsank O\n", {}, [
        ("# Ajax sank", [("# Ajax", "ship")], None)], {}),
    "a number sign inside": ("No O\n# O\n1 O\n", {}, [("No # 1", [], None)], {}),
    "nothing but number signs": ("# B-SHIP\n# O\n", {}, [("# #", [("#", "SHIP")], None)], {}),
    "a hashtag": ("#Ajax B-SHIP\nsank O\n", {}, [("#Ajax sank", [("#Ajax", "SHIP")], None)], {}),
    "multiword tokens": (
        "1\tMina\tO\n2-3\tdu\t_\n2\tde\tO\n3\tle\tO\n3.1\tx\tO\n4\tHavre\tB-PORT\n",
        {"token_column": 1}, [("Mina de le Havre", [("Havre", "PORT")], None)], {"multiword_range": [2, 5]},
    ),
    "documents": (
        "# newdoc id = a b\n# sent_id = 1\nx O\n\ny O\n\n# newdoc\nz O\n", {},
        [("x", [], "a b"), ("y", [], "a b"), ("z", [], "s-doc-2")], {"comment": [2]},
    ),
    "ranges where tokens stand first": ("1-2 O\n3.1 O\n", {}, [("1-2 3.1", [], None)], {}),
    "nested labels without prefixes": ("in O O\nLima port city\nBay port O\n", {"tag_columns": ()}, [
        ("in Lima Bay", [("Lima Bay", "port"), ("Lima", "city")], None)], {}),
    "numbers that do not count": ("1 O\n3 O\n\n1 O\n", {}, [("1 3", [], None), ("1", [], None)], {}),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_lines_that_are_no_rows_are_left_out_and_counted(read, case):
    content, columns, sentences, repairs = READ[case]
    assert read(content, **columns) == (sentences, repairs)


@pytest.mark.parametrize(
    ("content", "columns", "problem"),
    [
        ("1\tAjax\tO\n2\tsank\tO\n\n1\tRain\tO\n", {}, ": the tokens are the numbers 1, 2, 3 … of each sentence; name"),
        (
            "1\tMina\tO\n2-3\tdu\tB-PORT\n2\tde\tO\n3\tle\tO\n", {"token_column": 1},
            ":2: the line of a multiword token or an empty node (2-3) has the tag 'B-PORT'; annotate its words",
        ),
        ("Ajax NNP ship\nsank VBD O\n", {"tag_columns": ()}, ":1: tag 'NNP' is in a column without any O beside"),
        ("Ajax ship\n\ntoken my_type\nsank O\n", {}, ":3: the row 'token' with the tag 'my_type' may name"),
        ("# SHIP-B\nAjax PORT-B\nII PORT-I\n", {}, ":1: the line is a comment, or the token '#' with the tag"),
        (
            "-DOCSTART-\tO\tO\n\nAjax\tB-SHIP\tO\n", {},
            ":1: the line has 2 tags, as of nested entities, and only the last column is read; set",
        ),
        (
            "in O O\nLima I-PORT B-CITY\nBay I-PORT B-PORT\n", {},
            ":2: tag 'I-PORT' is in a column that is not read, and the last one, which is, has its label too; set",
        ),
        ("in O O\nLima B-PORT O\n", {}, ":2: tag 'B-PORT' is in a column that is not read, and the last"),
        ("#FORMAT=WebAnno TSV 3.2\n\n\n#Text=Ajax\n1-1\t0-4\tAjax\tSHIP\t\n", {}, ":1: WebAnno's TSV is not"),
        ("Ajax B-SHIP\n# of ships\n", {}, ":2: 3 columns where line 1 has 2; give every line the same columns"),
    ],
)  # fmt: skip
def test_what_would_lose_or_invent_something_is_refused(read, tmp_path, content, columns, problem):
    with pytest.raises(UserError) as caught:
        read(content, **columns)
    assert str(caught.value).startswith(f"{tmp_path}/x.conll{problem}")


def test_an_entity_twice_is_placed_at_its_word(read):
    assert read("in O O\nLima B-PORT B-PORT\n", tag_columns=())[1] == {"duplicate_entity": [2]}


def test_the_format_of_webanno_is_told_by_looking(tmp_path):
    (tmp_path / "x.tsv").write_text("#FORMAT=WebAnno TSV 3.3\n\n#Text=Ajax\n1-1\t0-4\tAjax\tSHIP\t\n")
    assert format_of(tmp_path / "x.tsv", "auto") == "columns"
