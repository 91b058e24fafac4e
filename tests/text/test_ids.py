"""Ids made word by word: goldens of the real T5 vocabulary, and where joint tokenization departs."""

from itertools import pairwise

import pytest
from shared_data import SHARED, needs_shared

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.columns import read_columns
from toner_jax.errors import UserError
from toner_jax.pipeline.corpus import generator_corpus
from toner_jax.text.ids import Symbols, WordIds
from toner_jax.text.linearize import linearize, sentence_items
from toner_jax.text.tokenizers import load_sentencepiece
from toner_jax.text.train_tokenizers import train_sentencepiece

# The pieces of the format: ▁[ ( ▁( , ), ) ]
OPEN, FIRST, NEXT, COMMA, ITEM_END, LAST_END, CLOSE = 784, 599, 41, 6, 201, 61, 908
PERSON, ORGANIZATION, PROTEIN = (6075,), (17939, 257), (23083,)
CELL_TYPE, DNA = (8725, 834, 6137), (26, 29, 9)


@pytest.fixture(scope="module")
def t5():
    return WordIds(load_sentencepiece(SHARED / "t5_vocab", "hf"))


@pytest.fixture(scope="module")
def generated():
    return generate(0, {"train": 1000})["train"]


@pytest.fixture(scope="module")
def trained(generated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    train_sentencepiece(folder, generator_corpus(generated, SCHEMA), 1000)
    return WordIds(load_sentencepiece(folder, "hf"))


def ids_of(word_ids, items):
    return word_ids.items([(name, entity.split(" ")) for name, entity in items])


@needs_shared
def test_golden_symbols(t5):
    assert t5.symbols == Symbols(
        open=(OPEN,),
        first_item=(FIRST,),
        next_item=(NEXT,),
        comma=(COMMA,),
        item_end=(ITEM_END,),
        last_end=(LAST_END,),
        close=(CLOSE,),
    )


@needs_shared
@pytest.mark.parametrize(
    ("items", "ids"),
    [
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
                *(NEXT, *PROTEIN, COMMA, 3, 3502, 4949, 15102, ITEM_END),
                *(NEXT, *DNA, COMMA, 3, 3502, 4949, 6510, LAST_END, CLOSE),
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
    ],
)
def test_golden_targets(t5, items, ids):
    assert ids_of(t5, items) == ids


@needs_shared
@pytest.mark.parametrize(
    ("names", "ids"),
    [
        ((), (OPEN, CLOSE)),
        (("person",), (OPEN, *PERSON, CLOSE)),
        (
            ("cell_type", "cell_line", "dna"),
            (OPEN, *CELL_TYPE, COMMA, 2358, 834, 747, COMMA, 3, *DNA, CLOSE),
        ),
        (("unit of time", "person"), (OPEN, 15129, 13, 97, COMMA, 568, CLOSE)),
    ],
)
def test_golden_type_lists(t5, names, ids):
    assert t5.type_list(names) == ids


@needs_shared
@pytest.mark.parametrize(
    ("word", "ids", "surface"),
    [
        ("Wellington", (25176,), "Wellington"),
        ("", (), ""),
        ("\u200b", (), ""),  # a zero-width space has no piece
        ("▁", (), ""),
        ("a\u200bb", (3, 9, 3, 115), "a b"),
        ("…", (3, 233), "..."),
        ("ﬁne", (1399,), "fine"),
        ("x½y", (3, 226, 536, 2, 357, 63), "x1⁇2y"),
        ("Ñandu", (3, 2, 232, 76), "⁇andu"),
        ("中文", (3, 2), "⁇"),  # a run of unknown characters is one piece
        ("`", (3, 2), "⁇"),
        ("</s>", (3, 2, 87, 7, 3155), "⁇/s>"),
        ("⁇", (3, 8546), "??"),  # so no known text spells an unknown piece
        ("\ud800", (3, 58), "?"),
        ("\ue000", (3, 2), "⁇"),
    ],
)
def test_golden_words_and_surfaces(t5, word, ids, surface):
    assert t5.word(word) == ids
    assert t5.surface(word) == surface


@needs_shared
def test_spell_says_where_each_piece_begins(t5):
    ids = (*ids_of(t5, [("person", "José Ñ")]), 1, 0, 0)
    text, starts = t5.spell(ids)
    assert text == " [(person, José ⁇)]"
    assert starts == [0, 2, 3, 9, 10, 15, 16, 17, 18, 19, 19, 19]
    assert t5.decode(ids) == "[(person, José ⁇)]"


@needs_shared
def test_spell_passes_over_ids_without_a_string(t5):
    # Padding, the end, and ids that checkpoints have but the vocabulary has not.
    assert t5.spell([0, 1, 32_000, 32_127, 901]) == (" Al", [0, 0, 0, 0, 0])


@needs_shared
def test_nothing_the_user_writes_becomes_a_special_token(t5):
    hostile = ["</s>", "<pad>", "<extra_id_0>", "x</s>y", "▁</s>", "\uf8ff1\uf8ff", " 1 "]
    ids = t5.items([("person", hostile)])
    assert {0, 1}.isdisjoint(ids)
    assert max(ids) < 32_000


@needs_shared
@pytest.mark.parametrize("name", ["naïve…", "имя", "ñame", "a~b", "x\u200by"])
def test_a_type_that_the_vocabulary_cannot_spell_is_an_error(t5, name):
    with pytest.raises(UserError, match="cannot spell"):
        t5.type_list([name])


def test_a_vocabulary_that_merges_the_probe_is_an_error():
    class Merging:
        def encode(self, strings):
            return [(len(s),) for s in strings]

    with pytest.raises(UserError, match=r"merges U\+E000"):
        WordIds(Merging())


def test_words_are_tokenized_once_and_together(trained):
    calls = []

    class Counting:
        def encode(self, strings):
            calls.append(list(strings))
            return trained.tokenizer.encode(strings)

        def __getattr__(self, name):
            return getattr(trained.tokenizer, name)

    word_ids = WordIds(Counting())
    calls.clear()
    word_ids.prepare(["Lima", "won", "Lima", "again"])
    assert calls == [["Lima", "won", "again"]]
    assert word_ids.words(["again", "Lima", "won"]) == trained.words(["again", "Lima", "won"])
    assert word_ids.word("Lima") == trained.word("Lima")
    assert len(calls) == 1


def test_glued_words_have_no_word_initial_mark(trained):
    word_ids = trained
    assert word_ids.spell(word_ids.glued("person"))[0] == "person"
    assert word_ids.spell(word_ids.glued("work of art"))[0] == "work of art"
    assert word_ids.spell(word_ids.words(["work", "of"]))[0] == " work of"


def test_targets_of_a_trained_tokenizer_spell_what_linearize_writes(trained, generated):
    for s in generated:
        ids = trained.items([(e.type, s.words[e.start : e.end]) for e in s.entities])
        assert trained.spell(ids)[0] == " " + linearize(sentence_items(s))
        assert trained.spell(trained.type_list(s.types()))[0] == f" [{', '.join(s.types())}]"


def _assert_spans_are_copied(word_ids, sentence):
    """The entities' ids stand in the target as they stand in the source, one after another."""
    source = word_ids.words(sentence.words)
    starts = [0]
    for w in sentence.words:
        starts.append(starts[-1] + len(word_ids.word(w)))
    target = word_ids.items([(e.type, sentence.words[e.start : e.end]) for e in sentence.entities])
    s = word_ids.symbols
    rest = target[len(s.open) :]
    for i, e in enumerate(sentence.entities):
        item = (
            *(s.next_item if i else s.first_item),
            *word_ids.glued(e.type),
            *s.comma,
            *source[starts[e.start] : starts[e.end]],
            *(s.item_end if i + 1 < len(sentence.entities) else s.last_end),
        )
        assert rest[: len(item)] == item
        rest = rest[len(item) :]
    assert rest == s.close


def test_a_span_has_the_same_ids_in_source_and_target(trained, generated):
    for s in generated:
        _assert_spans_are_copied(trained, s)


@needs_shared
@pytest.mark.parametrize(
    ("file", "schema", "tag_columns", "with_entities", "different"),
    [
        ("wnut17/wnut17train.conll", "wnut17", (-1,), 1228, 23),
        ("wnut17/emerging.dev.conll", "wnut17", (-1,), 628, 24),
        ("wnut17/emerging.test.annotated", "wnut17", (-1,), 689, 8),
        ("jnlpba/Genia4EReval1.iob2", "jnlpba", (-1,), 3202, 534),  # 16.7 %
        ("genia_nested/genia.dev.iob2", "jnlpba", (), 1438, 310),
    ],
)
def test_real_targets_differ_from_joint_tokenization_only_where_it_merges_an_entitys_end(
    t5, file, schema, tag_columns, with_entities, different
):
    sentences, _ = read_columns(SHARED / "data" / file, BUILTIN[schema], tag_columns=tag_columns)
    sentences = [s for s in sentences if s.entities]
    assert len(sentences) == with_entities
    t5.prepare(w for s in sentences for w in s.words)
    joint = t5.tokenizer.encode([linearize(sentence_items(s)) for s in sentences])
    count = 0
    for s, merged in zip(sentences, joint, strict=True):
        _assert_spans_are_copied(t5, s)
        ids = t5.items([(e.type, s.words[e.start : e.end]) for e in s.entities])
        if ids != merged:
            count += 1
            _assert_only_ends_are_merged(t5, s, ids, merged)
    assert count == different


def _assert_only_ends_are_merged(t5, sentence, ids, merged):
    text, starts = t5.spell(ids)
    other_text, other_starts = t5.spell(merged)
    if other_text != text:
        # `Dubbz\ufeff`: to T5 that character is white space, which the word alone does not end with.
        assert sentence.words[sentence.entities[-1].end - 1].endswith("\ufeff")
        assert other_text.replace(" )", ")") == text
        return
    # Where entities end, by a walk over the items that knows nothing of pieces.
    ends, at = set(), len(" [")
    for e in sentence.entities:
        at += len(f"({e.type}, ") + len(" ".join(t5.surface(w) for w in sentence.words[e.start : e.end]))
        assert text[at] == ")"
        ends.add(at)
        at += len("), ")
    # Between places where both begin a piece they agree, or the joint one passes over an entity's end.
    common = sorted({*starts, len(text)} & {*other_starts, len(text)})
    for a, b in pairwise(common):
        if [s for s in starts if a <= s < b] != [s for s in other_starts if a <= s < b]:
            inside = {end for end in ends if a < end < b}
            assert inside
            assert inside.isdisjoint(other_starts)


@needs_shared
def test_joint_tokenization_of_type_lists_is_the_same_for_every_schema(t5):
    for schema in BUILTIN.values():
        for names in (schema.names, schema.names[::-1], schema.names[1::2]):
            assert t5.type_list(names) == t5.tokenizer.encode([f"[{', '.join(names)}]"])[0]
            for name in names:  # every type opens a list, stands alone, and opens an item
                assert t5.type_list([name]) == t5.tokenizer.encode([f"[{name}]"])[0]
                assert ids_of(t5, [(name, "Al")]) == t5.tokenizer.encode([f"[({name}, Al)]"])[0]


class Counting:
    """Knows how often each string was tokenized."""

    pad_id, eos_id, unk_id, vocab_size = 0, 1, 2, 1 << 21

    def __init__(self):
        self.asked = []

    def encode(self, strings):
        self.asked += strings
        return [tuple(ord(c) for c in s) for s in strings]

    def piece(self, id):
        return chr(id)


def test_only_so_many_words_are_remembered(monkeypatch):
    monkeypatch.setattr("toner_jax.text.ids.MOST_WORDS", 10)
    tokenizer = Counting()
    ids = WordIds(tokenizer)  # two words of the format are known
    tokenizer.asked.clear()
    for words in ("abcdefgh", "hij", "hij", "a"):
        ids.prepare(words)
        assert ids.words(words) == tuple(ord(w) for w in words)
    # "ij" were two too many: all but "h", which was asked for with them, went.
    assert tokenizer.asked == [*"abcdefgh", *"ij", "a"]
    many = [chr(i) for i in range(200, 230)]
    ids.prepare(many)  # more at once than are remembered: all of them are, for now
    tokenizer.asked.clear()
    assert ids.words(many) == tuple(range(200, 230))
    assert tokenizer.asked == []
