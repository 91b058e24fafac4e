"""Ways of counting characters: which one a file means, told by what it repeats or by words."""

import json

import pytest

from toner_jax.data.formats.brat import read_brat
from toner_jax.data.formats.doccano import read_doccano
from toner_jax.data.formats.json_shapes import read_json_shapes
from toner_jax.data.formats.jsonl import read_jsonl
from toner_jax.data.formats.offsets import Annotation, countings, place_annotations
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError

# "Eve" begins at 0, "Uma" at 5 (4 where \r\n is one), "Rio" behind an emoji at 13 (11, 12 or 14).
TEXT = "Eve\r\nUma\r\n😀 Rio"
AS_IT_IS = [(0, 3), (5, 8), (12, 15)]
CRLF = [(0, 3), (4, 7), (10, 13)]
UTF16 = [(0, 3), (5, 8), (13, 16)]
BOTH = [(0, 3), (4, 7), (11, 14)]
SURFACES = ["Eve", "Uma", "Rio"]
WAYS = [
    (AS_IT_IS, {}),
    (CRLF, {"crlf_range": 2}),
    (UTF16, {"utf16_range": 1}),
    (BOTH, {"crlf_range": 2, "utf16_range": 1}),
]


def annotations(ranges, surfaces):
    return [
        Annotation((r,), "PER", f"f:{i}", s) for i, (r, s) in enumerate(zip(ranges, surfaces, strict=True))
    ]


def test_a_text_has_as_many_ways_as_differ():
    assert [len(countings(text)) for text in ("Eve", "Eve\nUma", "Eve\r\n", "é", "😀", TEXT)] == [
        1,
        1,
        2,
        1,
        2,
        4,
    ]


@pytest.mark.parametrize("said", [True, False], ids=["repeated", "fits-words"])
@pytest.mark.parametrize(("ranges", "counted"), WAYS)
def test_each_way_is_found(ranges, counted, said):
    surfaces = [(s,) if said else () for s in SURFACES]
    repairs = Repairs()
    placed = place_annotations(TEXT, annotations(ranges, surfaces), repairs)
    assert [TEXT[a.start : a.end] for a in placed] == SURFACES
    assert repairs == counted


def test_what_repeats_nothing_follows_what_does():
    repairs = Repairs()
    placed = place_annotations(TEXT, annotations(CRLF, [(), ("Uma",), ()]), repairs)
    assert [TEXT[a.start : a.end] for a in placed] == SURFACES


def test_a_doubtful_range_is_counted_where_it_stands():
    repairs = Repairs()
    placed = place_annotations(TEXT, annotations([(0, 2), (5, 8)], [(), ()]), repairs)
    assert [TEXT[a.start : a.end] for a in placed] == ["Ev", "Uma"]
    assert repairs.to_json() == {"span_cuts_word": ["f:0"]}
    plain = Repairs()
    place_annotations("Eve left", annotations([(0, 2)], [()]), plain)  # may be meant
    assert plain == {}


@pytest.mark.parametrize(
    ("ranges", "surfaces", "problem"),
    [
        ([(0, 3)], [("Uma",)], "f:0: the text at [0, 3) is 'Eve', not 'Uma'; ranges count characters"),
        ([(0, 3), (5, 8)], [("Eve",), ("Rio",)], "f:1: the text at [5, 8) is 'Uma', not 'Rio'"),
        ([(0, 3)], [("Eve", "Uma")], "f:0: the text at [0, 3) is 'Eve', not 'Uma'"),
        ([(0, 99)], [("Uma",)], "f:0: span [0, 99) is empty or outside its text of 15 characters"),
        ([(0, 99)], [()], "f:0: span [0, 99) is empty or outside its text of 15 characters"),
        ([(13, 16), (11, 13)], [("Rio",), ()], "f:1: span [11, 13) is empty or outside"),  # within the emoji
    ],
)
def test_what_is_in_no_way_as_it_says_is_named(ranges, surfaces, problem):
    with pytest.raises(UserError) as caught:
        place_annotations(TEXT, annotations(ranges, surfaces), Repairs())
    assert str(caught.value).startswith(problem)


def spans(ranges, **keys):
    return [
        {"start": a, "end": b, "label": "PER", **dict.fromkeys(keys, s)}
        for (a, b), s in zip(ranges, SURFACES, strict=True)
    ]


def exports(ranges):
    lists = [[a, b, "PER"] for a, b in ranges]
    offsets = [{"start_offset": a, "end_offset": b, "label": "PER"} for a, b in ranges]
    named = [{"pos": list(r), "type": "PER", "name": s} for r, s in zip(ranges, SURFACES, strict=True)]
    return {
        "jsonl": (read_jsonl, {"text": TEXT, "entities": lists}),
        "jsonl, text": (read_jsonl, {"text": TEXT, "entities": spans(ranges, text=1)}),
        "jsonl, value": (read_jsonl, {"text": TEXT, "spans": spans(ranges, value=1)}),
        "doccano": (read_doccano, {"text": TEXT, "label": lists}),
        "doccano, relations": (read_doccano, {"text": TEXT, "entities": offsets, "relations": []}),
        "InstructUIE": (read_json_shapes, {"sentence": TEXT, "entities": named}),
        "spaCy": (read_json_shapes, [TEXT, {"entities": lists}]),
    }


@pytest.mark.parametrize("name", exports(AS_IT_IS))
@pytest.mark.parametrize(("ranges", "counted"), WAYS)
def test_every_form_with_ranges(tmp_path, name, ranges, counted):
    reader, value = exports(ranges)[name]
    (tmp_path / "x.jsonl").write_text(json.dumps(value) + "\n")
    read = reader(tmp_path / "x.jsonl", None)
    assert [(s.surface(e), e.type) for s in read.sentences for e in s.gold] == [(s, "PER") for s in SURFACES]
    assert read.repairs == counted


@pytest.mark.parametrize(("ranges", "counted"), WAYS)
def test_brat(tmp_path, ranges, counted):
    (tmp_path / "a.txt").write_bytes(TEXT.encode())
    lines = [
        f"T{i}\tPER {a} {b}\t{s}\n" for i, ((a, b), s) in enumerate(zip(ranges, SURFACES, strict=True), 1)
    ]
    (tmp_path / "a.ann").write_text("".join(lines))
    read = read_brat(tmp_path, None)
    assert [s.surface(e) for s in read.sentences for e in s.gold] == SURFACES
    assert read.repairs == counted


@pytest.mark.parametrize("key", ["text", "surface", "value", "name", "word"])
@pytest.mark.parametrize("words", [False, True])
def test_a_span_that_repeats_its_text_is_checked(tmp_path, key, words):
    path = tmp_path / "x.jsonl"
    text = {"words": ["Uma", "saw", "Rio", "."]} if words else {"text": "Uma saw Rio."}
    good, bad = ((2, 3), (1, 3)) if words else ((8, 11), (7, 10))
    for (start, end), said in ((good, "Rio"), (bad, "Rio")):
        span = {"start": start, "end": end, "label": "LOC", key: said}
        path.write_text(json.dumps({**text, "entities": [span]}) + "\n")
        if (start, end) == good:
            assert [s.surface(e) for s in read_jsonl(path, None).sentences for e in s.gold] == ["Rio"]
        else:
            with pytest.raises(UserError, match=r"x\.jsonl:1: \"entities\"\[0\]: the (text|words).* 'Rio'; "):
                read_jsonl(path, None)


# An emoji, a line end and single letters: the 4th of its "characters" is A, or, with \\r\\n as one, B.
OPEN = "😀\r\nA B sank."


def of_file(reader, path, *items):
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    read = reader(path, None)
    return [s.surface(e) for s in read.sentences for e in s.gold], read.repairs


def records(text, *ranges, **more):
    lists = [[a, b, "X"] for a, b in ranges]
    return {
        read_jsonl: {
            "text": text,
            "entities": [{"start": a, "end": b, "label": "X", **more} for a, b, _ in lists],
        },
        read_doccano: {"text": text, "label": lists},
        read_json_shapes: [text, {"entities": lists}],
    }


READERS = [read_jsonl, read_doccano, read_json_shapes]


@pytest.mark.parametrize("reader", READERS)
def test_a_text_that_may_be_counted_in_two_ways_is_settled_by_others_or_refused(tmp_path, reader):
    path = tmp_path / "x.jsonl"
    doubtful = records(OPEN, (4, 5))[reader]
    with pytest.raises(UserError) as caught:
        of_file(reader, path, doubtful)
    assert "x.jsonl:1" in str(caught.value)
    assert "[4, 5) may be 'B' (counted in characters, \\r\\n as one) or 'A' (UTF-16 units); say" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)
    utf16, crlf = records("😀 Rio", (3, 6))[reader], records("Eve\r\nUma", (4, 7))[reader]
    for others, found in (((utf16,), ["A", "Rio"]), ((crlf,), ["B", "Uma"])):
        assert sorted(of_file(reader, path, doubtful, *others)[0]) == sorted(found)
        assert sorted(of_file(reader, path, *others, doubtful)[0]) == sorted(found)


def test_what_a_span_repeats_settles_its_file(tmp_path):
    doubtful, said = records(OPEN, (4, 5))[read_jsonl], records(OPEN, (4, 5), surface="A")[read_jsonl]
    assert of_file(read_jsonl, tmp_path / "x", doubtful, said) == (["A", "A"], {"utf16_range": 2})


@pytest.mark.parametrize("reader", READERS)
def test_texts_of_one_file_that_contradict_each_other_are_refused(tmp_path, reader):
    path = tmp_path / "x.jsonl"
    one, other = records("😀 Rio", (3, 6))[reader], records("😀 Ann left", (2, 5))[reader]
    plain = records("Eve", (0, 3))[reader]
    with pytest.raises(
        UserError, match=r"x\.jsonl:3.*its ranges fit if they count characters .*x\.jsonl:2.*UTF-16"
    ):
        of_file(reader, path, plain, one, other)


def test_brat_has_one_way_in_all_of_a_folder(tmp_path):
    for name, text, line in (("a", "😀 Rio", "3 6\tRio"), ("b", "😀 Ann", "2 5\tAnn")):
        (tmp_path / f"{name}.txt").write_text(text)
        (tmp_path / f"{name}.ann").write_text(f"T1\tX {line}\n")
    with pytest.raises(
        UserError, match=r"b\.ann:1: its ranges fit if they count characters .*, those of .*a\.ann:1 "
    ):
        read_brat(tmp_path, None)
