"""Golden ids of the real T5 vocabulary: the format, and words."""

from shared_data import SHARED, needs_shared

from toner_jax.text.ids import Symbols, WordIds
from toner_jax.text.tokenizers import load_sentencepiece

# The pieces of the format: ▁[ ( ▁( , ), ) ]
OPEN, FIRST, NEXT, COMMA, ITEM_END, LAST_END, CLOSE = 784, 599, 41, 6, 201, 61, 908
PERSON, ORGANIZATION, PROTEIN = (6075,), (17939, 257), (23083,)
CELL_TYPE, DNA = (8725, 834, 6137), (26, 29, 9)


TARGETS = [
    ([], (OPEN, CLOSE)),
    ([("person", "Al")], (OPEN, FIRST, *PERSON, COMMA, 901, LAST_END, CLOSE)),
    (
        [("organization", "Wellington"), ("organization", "Otago")],
        (
            *(OPEN, FIRST, *ORGANIZATION, COMMA, 25176, ITEM_END),
            *(NEXT, *ORGANIZATION, COMMA, 411, 2408, 32, LAST_END, CLOSE),
        ),
    ),
    (
        [("cell_type", "T cells"), ("protein", "IL-2 receptor"), ("dna", "IL-2 gene")],
        (
            *(OPEN, FIRST, *CELL_TYPE, COMMA, 332, 2640, ITEM_END),
            *(NEXT, *PROTEIN, COMMA, 3, 3502, 18, 357, 15102, ITEM_END),
            *(NEXT, *DNA, COMMA, 3, 3502, 18, 357, 6510, LAST_END, CLOSE),
        ),
    ),
    # Joint tokenization has one piece for `3)`, another for `”)`.
    ([("protein", "STAT 3")], (OPEN, FIRST, *PROTEIN, COMMA, 5097, 5767, 220, LAST_END, CLOSE)),
    ([("person", "“ Bo ”")], (OPEN, FIRST, *PERSON, COMMA, 105, 1491, 3, 153, LAST_END, CLOSE)),
    (
        [("work_of_art", "Yes , No ( Maybe )")],
        (
            *(OPEN, FIRST, 1981, 834, 858, 834, 1408, COMMA),
            *(2163, 3, 6, 465, 41, 3836, 3, 61, LAST_END, CLOSE),
        ),
    ),
    # Ñ is unknown.
    ([("person", "José Ñ")], (OPEN, FIRST, *PERSON, COMMA, 26816, 3, 2, LAST_END, CLOSE)),
]
TYPE_LISTS = [
    ((), (OPEN, CLOSE)),
    (("person",), (OPEN, *PERSON, CLOSE)),
    (
        ("cell_type", "cell_line", "dna"),
        (OPEN, *CELL_TYPE, COMMA, 2358, 834, 747, COMMA, 3, *DNA, CLOSE),
    ),
    (("unit of time", "person"), (OPEN, 15129, 13, 97, COMMA, 568, CLOSE)),
]
# Their ids, and what is read of them.
WORDS = [
    ("Wellington", (25176,), "Wellington"),
    ("", (), ""),
    ("\u200b", (), ""),  # a zero-width space has no piece
    ("▁", (), ""),
    ("a\u200bb", (3, 9, 115), "ab"),
    ("…", (3, 233), "..."),
    ("ﬁne", (1399,), "fine"),
    ("x½y", (3, 226, 536, 2, 357, 63), "x1⁇2y"),
    ("Ñandu", (3, 2, 232, 76), "⁇andu"),
    ("中文", (3, 2, 2), "⁇⁇"),  # each of its characters is an atom
    ("`", (3, 2), "⁇"),
    ("</s>", (3, 2, 87, 7, 3155), "⁇/s>"),
    ("⁇", (3, 8546), "??"),  # so no known text spells an unknown piece
    ("\ud800", (3, 58), "?"),
    ("\ue000", (), "\ue000"),  # what glues words together, and no text of a user
    # Glued words carry no space, an unknown one none either.
    ("\ue0002", (357,), "\ue0002"),
    ("\ue000µg", (2, 122), "\ue000⁇g"),
]


def golden():
    return WordIds(load_sentencepiece(SHARED / "t5_vocab", "hf"))


@needs_shared
def test_golden_ids_of_the_format():
    t5 = golden()
    assert t5.tokenizer.vocab_size == 32_000
    assert t5.symbols == Symbols(
        open=(OPEN,),
        first_item=(FIRST,),
        next_item=(NEXT,),
        comma=(COMMA,),
        item_end=(ITEM_END,),
        last_end=(LAST_END,),
        close=(CLOSE,),
    )
    for items, ids in TARGETS:
        assert t5.items([(name, entity.split(" ")) for name, entity in items]) == ids, items
    for names, ids in TYPE_LISTS:
        assert t5.type_list(names) == ids, names


@needs_shared
def test_golden_words_and_surfaces():
    t5 = golden()
    for word, ids, surface in WORDS:
        assert (t5.word(word), t5.surface(word)) == (ids, surface), word
    ids = (*t5.items([("person", ["José", "Ñ"])]), 1, 0, 0)
    assert t5.spell(ids) == (" [(person, José ⁇)]", [0, 2, 3, 9, 10, 15, 16, 17, 18, 19, 19, 19])
    assert t5.spell([0, 1, 32_000, 32_127, 901]) == (" Al", [0, 0, 0, 0, 0])
