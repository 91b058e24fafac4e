"""ACE's pairs of files: offsets over the text without tags, in small documents of the true form."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from toner_jax.atoms import GLUE, join
from toner_jax.data.corpora.ace import read_ace
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.errors import UserError

ACE = BUILTIN["ace2005"]

NEWSWIRE = """\
<DOC>
<DOCID> AFP_ENG_20030304.0250 </DOCID>
<DOCTYPE SOURCE="newswire"> NEWS STORY </DOCTYPE>
<DATETIME> 20030304 </DATETIME>
<BODY>
<HEADLINE>
Paris talks
</HEADLINE>
<TEXT>
The president of AT&amp;T met
his wife in Paris, France. They
flew home.
</TEXT>
</BODY>
</DOC>
"""
CONVERSATION = """\
<DOC>
<DOCID>CNN_CF_20030303.1900.00</DOCID>
<BODY>
<TEXT>
<TURN>
<SPEAKER> Blitzer </SPEAKER>
We go to Kuwait
</TURN>
<TURN>
<SPEAKER> WOMAN </SPEAKER>
Thank you
</TURN>
</TEXT>
</BODY>
</DOC>
"""
WEBLOG = """\
<DOC>
<DOCID> MARKBACKER_20041103.1300 </DOCID>
<BODY>
<TEXT>
<POST>
<POSTER> Mark </POSTER>
<POSTDATE> 2004-11-03 </POSTDATE>
<QUOTE PREVIOUSPOST="Jim &amp; co">I saw a &lt;tank&gt; near Mosul</QUOTE>
</POST>
</TEXT>
</BODY>
</DOC>
"""

# (type, kind, text as written in the .sgm): its place is found by `apf`, apart from the reader.
Mention = tuple[str, str, str]


def bare(source: str) -> str:
    """The source without its tags, character by character."""
    out, inside = [], False
    for c in source:
        inside = c == "<" or (inside and c != ">")
        if not inside and c != ">":
            out.append(c)
    return "".join(out)


def apf(source: str, mentions: list[Mention]) -> str:
    text = bare(source)
    entities = []
    for i, (label, kind, words) in enumerate(mentions):
        start = text.index(words)
        entities.append(
            f'<entity ID="E{i}" TYPE="{label}" SUBTYPE="Other" CLASS="SPC">\n'
            f'  <entity_mention ID="E{i}-1" TYPE="{kind}" LDCTYPE="{kind}"><extent>\n'
            f'    <charseq START="{start}" END="{start + len(words) - 1}">'
            f"{escape(words.replace('&amp;', '&').replace('&lt;', '<').replace('&gt;', '>'))}</charseq>\n"
            f'  </extent><head><charseq START="{start}" END="{start}">{escape(words[0])}</charseq></head>'
            "</entity_mention>\n</entity>\n"
        )
    return (
        '<?xml version="1.0"?>\n<!DOCTYPE source_file SYSTEM "apf.v5.1.1.dtd">\n'
        f'<source_file URI="x.sgm" SOURCE="nw" TYPE="text"><document DOCID="x">\n{"".join(entities)}'
        '<timex2 ID="T1"><timex2_mention ID="T1-1"><extent><charseq START="0" END="1">x</charseq></extent>'
        "</timex2_mention></timex2></document></source_file>\n"
    )


def put(root: Path, name: str, source: str, mentions: list[Mention]) -> None:
    folder = root / Path(name).parent
    folder.mkdir(parents=True, exist_ok=True)
    (root / f"{name}.sgm").write_text(source, encoding="utf-8")
    (root / f"{name}.apf.xml").write_text(apf(source, mentions), encoding="utf-8")


def listed(root: Path, *names: str) -> Path:
    path = root / "train.id"
    path.write_text("".join(f"{name}\n" for name in names))
    return path


def found(read) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(join(s.words), [(e.type, s.surface(e)) for e in s.entities]) for s in read.sentences]


CASES = {
    "newswire": (
        NEWSWIRE,
        [
            ("GPE", "NAM", "Paris talks"[:5]),
            ("PER", "NOM", "The president of AT&amp;T"),
            ("ORG", "NAM", "AT&amp;T"),
            ("PER", "NOM", "his wife"),
            ("PER", "PRO", "his"),
            ("GPE", "NAM", "Paris, France"),
            ("GPE", "NAM", "France"),
            ("PER", "PRO", "They"),
        ],
        [
            (
                "The president of AT & T met his wife in Paris , France .",
                [
                    ("person", "The president of AT & T"), ("organization", "AT & T"), ("person", "his wife"),
                    ("person", "his"), ("gpe", "Paris , France"), ("gpe", "France"),
                ],
            ),
            ("They flew home .", [("person", "They")]),
        ],
        {"outside_text": 1},
    ),
    "conversation": (
        CONVERSATION,
        [("PER", "NAM", "Blitzer"), ("PER", "PRO", "We"), ("GPE", "NAM", "Kuwait"), ("PER", "PRO", "you")],
        [
            ("Blitzer", [("person", "Blitzer")]),
            ("We go to Kuwait", [("person", "We"), ("gpe", "Kuwait")]),
            ("WOMAN", []),
            ("Thank you", [("person", "you")]),
        ],
        {},
    ),
    "weblog": (
        WEBLOG,
        [("PER", "NAM", "Mark"), ("VEH", "NOM", "a &lt;tank&gt;"), ("VEH", "NOM", "tank"), ("GPE", "NAM", "Mosul")],
        [
            ("Mark", [("person", "Mark")]),
            ("2004-11-03", []),
            ("I saw a < tank > near Mosul", [("vehicle", "a < tank >"), ("vehicle", "tank"), ("gpe", "Mosul")]),
        ],
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_documents(tmp_path, name, line_end):
    source, mentions, expected, repairs = CASES[name]
    put(tmp_path, name, source, mentions)
    (tmp_path / f"{name}.sgm").write_bytes(source.replace("\n", line_end).encode())
    read = read_ace(tmp_path, ACE, root=tmp_path, split="test")
    assert found(read) == expected
    assert read.repairs == repairs
    assert {s.doc_id for s in read.sentences} == {name}
    for s in read.sentences:
        assert tuple(s.text[a:b] for a, b in s.offsets) == tuple(w.removeprefix(GLUE) for w in s.words)


def test_an_offset_is_first_and_last_character(tmp_path):
    """Literally: `ab` of `<TEXT>ab cd</TEXT>` is characters 0 and 1."""
    (tmp_path / "x.sgm").write_text("<DOC><TEXT>ab cd</TEXT></DOC>")
    (tmp_path / "x.apf.xml").write_text(
        '<source_file><document><entity ID="E" TYPE="FAC"><entity_mention ID="M"><extent>'
        '<charseq START="0" END="1">ab</charseq></extent></entity_mention></entity></document></source_file>'
    )
    assert found(read_ace(tmp_path, ACE, root=tmp_path, split="test")) == [("ab cd", [("facility", "ab")])]


def test_an_escape_counts_as_it_is_written(tmp_path):
    """`a &amp; b` is nine characters, so that b is the ninth."""
    (tmp_path / "x.sgm").write_text("<DOC><TEXT>a &amp; b</TEXT></DOC>")
    annotation = (
        '<source_file><document><entity ID="E" TYPE="LOC"><entity_mention ID="M"><extent>'
        '<charseq START="{}" END="{}">{}</charseq></extent></entity_mention></entity></document></source_file>'
    )
    for start, end, text in ((8, 8, "b"), (2, 6, "&amp;"), (0, 8, "a &amp;\nb"), (2, 6, "&amp;amp;")):
        (tmp_path / "x.apf.xml").write_text(annotation.format(start, end, text))
        (sentence,) = read_ace(tmp_path, ACE, root=tmp_path, split="test").sentences
        assert sentence.text == "a & b"
        expected = {8: "b", 2: "&", 0: "a & b"}[start]
        assert [sentence.surface(e) for e in sentence.entities] == [expected]
    (tmp_path / "x.apf.xml").write_text(annotation.format(4, 4, "b"))
    with pytest.raises(
        UserError, match=r"mention 'M': its text 'b' is not what stands at \[4, 4\] of x.sgm: 'm'"
    ):
        read_ace(tmp_path, ACE, root=tmp_path, split="test")


def test_lists_choose_the_documents_in_their_order(tmp_path):
    for name in ("nw/timex2norm/N1", "bc/timex2norm/B1", "wl/timex2norm/W1"):
        put(tmp_path, name, f"<DOC><TEXT>{name[-2:]}</TEXT></DOC>", [])
    path = listed(tmp_path, "nw/timex2norm/N1", "B1.sgm")
    assert [s.doc_id for s in read_ace(path, ACE, root=tmp_path, split="train").sentences] == ["N1", "B1"]
    listed(tmp_path, "B1", "B2", "B3")
    with pytest.raises(
        UserError, match=r"train\.id: 2 of its 3 documents are not in .*, the first is 'B2'; bring"
    ):
        read_ace(path, ACE, root=tmp_path, split="train")


def test_the_last_pass_of_annotation_counts(tmp_path):
    for folder, word in (("fp1", "first"), ("adj", "adjudicated"), ("timex2norm", "last")):
        put(tmp_path, f"nw/{folder}/N1", f"<DOC><TEXT>{word}</TEXT></DOC>", [])
    assert [s.text for s in read_ace(tmp_path, ACE, root=tmp_path, split="train").sentences] == ["last"]
    put(tmp_path, "copy/timex2norm/N1", "<DOC><TEXT>again</TEXT></DOC>", [])
    with pytest.raises(UserError, match=r"document 'N1' stands in .*, too; keep one copy"):
        read_ace(tmp_path, ACE, root=tmp_path, split="train")
