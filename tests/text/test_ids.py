"""Ids made word by word, and where joint tokenization departs."""

from itertools import pairwise

import pytest
from shared_data import SHARED, needs_shared, read

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.errors import UserError
from toner_jax.pipeline.corpus import generator_corpus
from toner_jax.text.ids import WordIds
from toner_jax.text.linearize import linearize, sentence_items
from toner_jax.text.tokenizers import load_sentencepiece
from toner_jax.text.train_tokenizers import train_sentencepiece


@pytest.fixture(scope="module")
def t5(shared):
    return WordIds(load_sentencepiece(shared / "t5_vocab", "hf"))


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


def test_spell_says_where_each_piece_begins(t5):
    ids = (*ids_of(t5, [("person", "José Ñ")]), t5.tokenizer.eos_id, *[t5.tokenizer.pad_id] * 2)
    text, starts = t5.spell(ids)
    assert text == " [(person, José ⁇)]"
    parts = [t5.spell([i])[0] for i in ids]
    assert starts == [sum(map(len, parts[:k])) for k in range(len(ids))]
    assert starts[-3:] == [19, 19, 19]
    assert text[starts[ids.index(t5.tokenizer.unk_id)]] == "⁇"
    assert t5.decode(ids) == "[(person, José ⁇)]"


def test_spell_passes_over_ids_without_a_string(t5):
    # Padding, the end, and ids that checkpoints have but the vocabulary has not.
    size, word = t5.tokenizer.vocab_size, t5.word("Al")
    text, starts = t5.spell([0, 1, size, size + 127, *word])
    assert (text, starts[:5]) == (" Al", [0, 0, 0, 0, 0])
    assert len(starts) == 4 + len(word)


def test_nothing_the_user_writes_becomes_a_special_token(t5):
    hostile = ["</s>", "<pad>", "<extra_id_0>", "x</s>y", "▁</s>", "\uf8ff1\uf8ff", " 1 "]
    ids = t5.items([("person", hostile)])
    assert {0, 1}.isdisjoint(ids)
    assert max(ids) < t5.tokenizer.vocab_size


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


def differing(folder, file):
    """The sentences of a file that have entities, and of how many the target's ids are not those of joint
    tokenization, which differs only where it merges an entity's end."""
    t5 = WordIds(load_sentencepiece(folder / "t5_vocab", "hf"), "words")
    sentences = [s for s in read(folder, file).sentences if s.entities]
    t5.prepare(w for s in sentences for w in s.words)
    joint = t5.tokenizer.encode([linearize(sentence_items(s)) for s in sentences])
    count = 0
    for s, merged in zip(sentences, joint, strict=True):
        _assert_spans_are_copied(t5, s)
        ids = t5.items([(e.type, s.words[e.start : e.end]) for e in s.entities])
        if ids != merged:
            count += 1
            _assert_only_ends_are_merged(t5, s, ids, merged)
    return len(sentences), count


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


def test_targets_differ_from_joint_tokenization_only_where_it_merges_an_entitys_end(own):
    for file, with_entities in (("wnut17/wnut17train.conll", 9), ("genia_nested/genia.dev.iob2", 9)):
        found, different = differing(own, file)
        assert found == with_entities, file
        assert 0 < different < found, file


@pytest.mark.slow
@needs_shared
def test_so_do_those_of_published_data():
    expected = {
        "wnut17/wnut17train.conll": (1228, 23),
        "wnut17/emerging.dev.conll": (628, 24),
        "wnut17/emerging.test.annotated": (689, 8),
        "jnlpba/Genia4EReval1.iob2": (3202, 534),  # 16.7 %
        "genia_nested/genia.dev.iob2": (1438, 310),
    }
    assert {file: differing(SHARED, file) for file in expected} == expected


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
