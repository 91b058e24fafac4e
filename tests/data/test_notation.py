"""How tags are written: literal tables of what all tags of a file together are taken for, and of what is refused."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from toner_jax.data.tag_names import Tagging
from toner_jax.data.tags import TagReader
from toner_jax.errors import UserError


def read(text: str, prefix: str = "auto", names: tuple[str, ...] = ()):
    """Sentences with `|` between; the entities of each, the scheme, and the faults."""
    reader = TagReader(None, Tagging(prefix, names))
    sentences = [tags.split() for tags in text.split("|")]
    for i, tags in enumerate(sentences, 1):
        reader.add(tags, f"file:{i}")
    found = [
        [(e.start, e.end, e.type) for e in reader.entities(tags, lambda _, i=i: f"file:{i}")]
        for i, tags in enumerate(sentences, 1)
    ]
    return found, reader.scheme, dict(reader.repairs())


READ = {
    "BMES": ("B-SHIP M-SHIP E-SHIP O|S-PORT S-SHIP", [[(0, 3, "SHIP")], [(0, 1, "PORT"), (1, 2, "SHIP")]], "IOBES"),
    "BMEWO": ("B-SHIP M-SHIP E-SHIP O W-PORT", [[(0, 3, "SHIP"), (4, 5, "PORT")]], "IOBES"),
    "BILOU": ("B-SHIP L-SHIP U-PORT", [[(0, 2, "SHIP"), (2, 3, "PORT")]], "IOBES"),
    "BIOE": ("B-SHIP I-SHIP E-SHIP O B-PORT", [[(0, 3, "SHIP"), (4, 5, "PORT")]], "BIOE"),
    "IOE2": ("I-SHIP E-SHIP E-SHIP O E-PORT", [[(0, 2, "SHIP"), (2, 3, "SHIP"), (4, 5, "PORT")]], "IOE2"),
    "IOE1": ("I-SHIP E-SHIP I-SHIP O I-PORT", [[(0, 2, "SHIP"), (2, 3, "SHIP"), (4, 5, "PORT")]], "IOE1"),
    "last": ("SHIP-B SHIP-I O PORT-B", [[(0, 2, "SHIP"), (3, 4, "PORT")]], "IOB2, written TYPE-B"),
    "last, with dashes": ("war-ship-B war-ship-I O", [[(0, 2, "war-ship")]], "IOB2, written TYPE-B"),
    "underscore": ("B_SHIP I_SHIP O", [[(0, 2, "SHIP")]], "IOB2, written B_TYPE"),
    "underscore, single words": ("B_SHIP O B_PORT", [[(0, 1, "SHIP"), (2, 3, "PORT")]], "IOB2, written B_TYPE"),
    "underscore last": ("SHIP_S O PORT_B PORT_E", [[(0, 1, "SHIP"), (2, 4, "PORT")]], "IOBES, written TYPE_B"),
    "lower case": ("b-ship i-ship o", [[(0, 2, "ship")]], "IOB2"),
    "lower case, single words": ("b-ship o o", [[(0, 1, "ship")]], "IOB2"),
    "both cases": ("B-ship i-ship O", [[(0, 2, "ship")]], "IOB2"),
    "a label with separators": ("B-war_ship I-war_ship B-a-b", [[(0, 2, "war_ship"), (2, 3, "a-b")]], "IOB2"),
    "a label like a prefix": ("B-S I-S O B-SHIP", [[(0, 2, "S"), (3, 4, "SHIP")]], "IOB2"),
    "dots": ("B.SHIP I.SHIP O B.PORT", [[(0, 2, "SHIP"), (3, 4, "PORT")]], "IOB2, written B.TYPE"),
    "signs at the end": ("SHIP+B SHIP+I O", [[(0, 2, "SHIP")]], "IOB2, written TYPE+B"),
    "long dashes": ("B–SHIP E–SHIP S–PORT", [[(0, 2, "SHIP"), (2, 3, "PORT")]], "IOBES, written B–TYPE"),
    "IO with dots": ("O E.coli person M&S", [[(1, 2, "E.coli"), (2, 3, "person"), (3, 4, "M&S")]], "IO"),
    "IO": ("ship O port port ship", [[(0, 1, "ship"), (2, 4, "port"), (4, 5, "ship")]], "IO"),
    "IO, across sentences": ("O port|port O", [[(1, 2, "port")], [(0, 1, "port")]], "IO"),
    "IO with dashes": ("O ship-war ship-war port-sea", [[(1, 3, "ship-war"), (3, 4, "port-sea")]], "IO"),
    "IO in lower case": ("o ship", [[(1, 2, "ship")]], "IO"),
    "nothing": ("O O|O", [[], []], "IOB2"),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_what_tags_are_taken_for(case):
    text, entities, scheme = READ[case]
    assert read(text) == (entities, scheme, {})


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("I-SHIP E-SHIP O|I-PORT O", {"i_without_e": 1}),
        ("E-SHIP O I-SHIP I-SHIP", {"i_without_e": 1}),
        ("B-SHIP O|B-SHIP E-SHIP|B-SHIP I-SHIP O", {"b_without_e": 1}),
        ("ship port", None),
    ],
)
def test_faults_are_those_of_the_scheme(text, faults):
    if faults is None:
        with pytest.raises(UserError, match="no word has the tag O"):
            read(text)
    else:
        assert read(text)[2] == faults


REFUSED = {
    "two notations": ("B-SHIP O|SHIP-B", "file:2: tag 'SHIP-B' has the unknown prefix 'SHIP', unlike 'B-SHIP'"),
    "two separators": ("B-SHIP O|I_SHIP", "file:2: tag 'I_SHIP' has no prefix, unlike 'B-SHIP' (file:1)"),
    "a label without its prefix": ("O B-SHIP|SHIP", "file:2: tag 'SHIP' has no prefix, unlike 'B-SHIP' (file:1)"),
    "an unknown prefix": ("O|X-SHIP Y-SHIP", "file:2: tag 'X-SHIP' has the unknown prefix 'X'; write O, B-TYPE"),
    "no types": ("O|B I", "file:2: tag 'B' names no type"),
    "no types, in lower case": ("o|b i", "file:2: tag 'b' names no type"),
    "no label": ("B-SHIP|B-", "file:2: tag 'B-' names no type"),
    "spaCy's unknown": ("B-SHIP|-", "file:2: tag '-' (spaCy writes it for a word whose annotation is unknown)"),
    "CoNLL-U's unknown": ("O B-SHIP|_", "file:2: tag '_' (CoNLL-U writes it for a word whose annotation"),
    "a word and a letter": ("O O|e-mail", "file:2: tag 'e-mail' may be a label, or the label 'mail' with the"),
    "a letter at the end": ("O|hepatitis_B", "file:2: tag 'hepatitis_B' may be a label, or the label 'hepatitis'"),
    "forms": ("O|W-2 W-4", "file:2: tag 'W-2' may be a label, or the label '2' with the prefix 'W'; set"),
    "no tag O": ("ship-war|port", "file:1: tag 'ship-war' has no prefix, and no word has the tag O; write O, B-TYPE"),
    "a stray dash": ("O|-SHIP", "file:2: tag '-SHIP' has no prefix"),
    "mixed with plain": ("O ship|vitamin-B", "file:1: tag 'ship' has no prefix, unlike 'vitamin-B' (file:2); write"),
    "several after commas": ("O|B-SHIP,U-PORT", "file:2: tag 'B-SHIP,U-PORT' holds several annotations; keep one"),
    "several, otherwise written": ("O|SHIP-B;PORT-I", "file:2: tag 'SHIP-B;PORT-I' holds several annotations"),
    "mail": ("O E-MAIL", "file:1: tag 'E-MAIL' may be a label, or the label 'MAIL' with the prefix 'E'; set"),
    "a train and a boat": ("O S-BAHN|U-BOOT", "file:1: tag 'S-BAHN' may be a label, or the label 'BAHN' with"),
    "a cell": ("O B_CELL", "file:1: tag 'B_CELL' may be a label, or the label 'CELL' with the prefix 'B'; set"),
    "in and out": ("O I/O", "file:1: tag 'I/O' may be a label, or the label 'O' with the prefix 'I'; set"),
    "dots, single words": ("O B.SHIP", "file:1: tag 'B.SHIP' may be a label, or the label 'SHIP' with the prefix 'B'"),
    "species": ("O E.coli|B.subtilis", "file:1: tag 'E.coli' may be a label, or the label 'coli' with the prefix"),
    "dots and none": ("O B.SHIP I.SHIP|PORT", "file:2: tag 'PORT' has no prefix, unlike 'B.SHIP' (file:1); write O"),
    "a prefix at either end": ("O S-B S-I", "file:1: tag 'S-B' may have its prefix at its beginning or at its end"),
    "two letters for none": ("O ship|o", "file:2: tag 'o' may be a label, or mean the same as 'O' (file:1); write"),
    "numbers and names": ("O|1", "file:2: tag '1' is a number, unlike 'O' (file:1); write all tags as names"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_be_read_in_two_ways_or_in_none_is_refused(case):
    text, message = REFUSED[case]
    with pytest.raises(UserError) as caught:
        read(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "prefix", "entities"),
    [
        ("O e-mail e-mail", "none", [(1, 3, "e-mail")]),
        ("O e-mail e-mail", "first", [(1, 2, "mail"), (2, 3, "mail")]),
        ("B-S I-S", "last", [(0, 1, "B"), (1, 2, "I")]),
        ("ship vitamin-B", "none", [(0, 1, "ship"), (1, 2, "vitamin-B")]),
        ("B B I", "none", [(0, 2, "B"), (2, 3, "I")]),
        ("O 1", "none", [(1, 2, "1")]),
        ("O B.SHIP", "first", [(1, 2, "SHIP")]),
        ("O B.SHIP I.SHIP", "none", [(1, 2, "B.SHIP"), (2, 3, "I.SHIP")]),
        ("B-S I-S", "first", [(0, 2, "S")]),
        ("E-MAIL", "none", [(0, 1, "E-MAIL")]),
        ("E-MAIL", "first", [(0, 1, "MAIL")]),
        ("O o B-SHIP", "first", [(2, 3, "SHIP")]),
    ],
)
def test_the_option_says_which_is_meant(text, prefix, entities):
    assert read(text, prefix)[0] == [entities]


def test_several_tags_of_a_word_after_a_bar_are_refused():
    reader = TagReader(None)
    reader.add(["O", "B-SHIP|B-PORT"], "file:1")
    with pytest.raises(UserError, match=r"^file:1: tag 'B-SHIP\|B-PORT' holds several annotations; keep one"):
        list(reader.entities(["B-SHIP|B-PORT"], str))


def test_the_option_is_held_to():
    with pytest.raises(
        UserError, match=r"^file:1: tag 'SHIP-B' has the unknown prefix 'SHIP'; write O, B-TYPE"
    ):
        read("O SHIP-B SHIP-I", "first")
    with pytest.raises(UserError, match=r"^data\.tag_prefix='front': choose one of auto, first, last, none$"):
        read("O", "front")


# Prefixes of an entity's only word, its first, those inside, and its last.
SCHEMES = {
    "IOB2": "BBII", "IOBES": "SBIE", "BILOU": "UBIL", "BMES": "SBME", "BMEWO": "WBME", "IOE2": "EIIE",
}  # fmt: skip
WRITTEN = {
    "B-TYPE": "{0}-{1}", "TYPE-B": "{1}-{0}", "B_TYPE": "{0}_{1}", "TYPE_B": "{1}_{0}", "B:TYPE": "{0}:{1}",
    "B/TYPE": "{0}/{1}",
}  # fmt: skip


@st.composite
def sentences(draw):
    """Lengths of stretches of words, each with a label or none."""
    stretch = st.tuples(st.integers(1, 4), st.sampled_from([None, "ship", "sea-port", "war_ship"]))
    return draw(st.lists(st.lists(stretch, min_size=1, max_size=6), min_size=1, max_size=4))


# Of these the notation and the scheme are sure: each kind of tag is there.
ALL_KINDS = [
    [(1, "ship"), (1, None), (3, "ship")],
    [(2, "sea-port"), (1, None), (1, "sea-port")],
    [(3, "war_ship")],
]


@given(sentences(), st.sampled_from(sorted(SCHEMES)), st.sampled_from(sorted(WRITTEN)))
def test_every_scheme_in_every_notation_says_what_was_written(drawn, scheme, written):
    alone, first, inside, last = SCHEMES[scheme]
    lines, expected = [], []
    for stretches in [*ALL_KINDS, *drawn]:
        tags: list[str] = []
        entities = []
        for length, label in stretches:
            if label is None:
                tags += ["O"] * length
                continue
            entities.append((len(tags), len(tags) + length, label))
            letters = alone if length == 1 else first + inside * (length - 2) + last
            tags += [WRITTEN[written].format(letter, label) for letter in letters]
        lines.append(" ".join(tags))
        expected.append(entities)
    found, told, faults = read("|".join(lines))
    assert found == expected
    assert faults == {}
    assert told.endswith("" if written == "B-TYPE" else f", written {written}")


@given(sentences())
def test_labels_alone_say_all_but_where_neighbours_of_one_label_part(drawn):
    lines, expected = ["O ship"], [[(1, 2, "ship")]]
    for stretches in drawn:
        merged: list[list] = []
        for length, label in stretches:
            if merged and merged[-1][1] == label:
                merged[-1][0] += length
            else:
                merged.append([length, label])
        lines.append(" ".join(" ".join([label or "O"] * length) for length, label in merged))
        ends = [sum(length for length, _ in merged[: i + 1]) for i in range(len(merged))]
        expected.append([(e - n, e, label) for e, (n, label) in zip(ends, merged, strict=True) if label])
    assert read("|".join(lines)) == (expected, "IO", {})


_PARTS = st.sampled_from([*"BIESLUMWOobi-_:/,0 1", "ship", "PER", "#", "\u200b", "³"])


@given(
    st.lists(st.lists(_PARTS, max_size=4).map("".join), min_size=1, max_size=8),
    st.sampled_from(["auto", "none"]),
)
def test_any_tags_are_read_or_refused_in_a_line(tags, prefix):
    reader = TagReader(None, Tagging(prefix))
    reader.add(tags, "file:1")
    try:
        found = list(reader.entities(tags, lambda _: "file:1"))
    except UserError as error:
        refused = str(error)
        assert refused.startswith("file:1: ")
        assert "\n" not in refused
        return
    for e in found:
        assert e.type
        assert all(e.type in tag for tag in tags[e.start : e.end])
    covered = {i for e in found for i in range(e.start, e.end)}
    assert covered == {i for i, tag in enumerate(tags) if tag not in ("O", "o")}
