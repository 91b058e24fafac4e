"""Tokenizers trained for runs from random weights: usable by everyone, and the same every time."""

import hashlib
import os
import subprocess
import sys

import pytest
import sentencepiece
from shared_data import SHARED, needs_shared, read

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.errors import UserError
from toner_jax.pipeline.corpus import generator_corpus, matcher_corpus
from toner_jax.schema import EntityType, Schema, make_sentence
from toner_jax.tasks import prompts
from toner_jax.text.linearize import linearize, sentence_items
from toner_jax.text.tokenizers import load_sentencepiece, load_wordpiece
from toner_jax.text.train_tokenizers import train_sentencepiece, train_wordpiece

BACKENDS = ("tf_text", "hf")
PLAIN = Schema("plain", (EntityType("person", "Names of people."), EntityType("place", "Towns.")))


@pytest.fixture(scope="module")
def splits():
    return generate(0, {"train": 1000, "test": 300})


@pytest.fixture(scope="module")
def folder(splits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert (
        train_sentencepiece(folder, generator_corpus(splits["train"], SCHEMA), 1000)
        == folder / "spiece.model"
    )
    assert train_wordpiece(folder, matcher_corpus(splits["train"], SCHEMA), 2000) == folder / "vocab.txt"
    return folder


def words_of(sentences):
    return [w for s in sentences for w in s.words]


def sentence(*words):
    return make_sentence("s", words, [], PLAIN)


# The generator's.


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_trained_sentencepiece_model_is_t5s_in_form(folder, splits, backend):
    t = load_sentencepiece(folder, backend)
    assert (t.pad_id, t.eos_id, t.unk_id, t.vocab_size) == (0, 1, 2, 1000)
    words = words_of(splits["train"])
    ids = t.encode(words)
    assert all("".join(map(t.piece, row)) == f"▁{w}" for w, row in zip(words, ids, strict=True))


def test_held_out_words_have_few_pieces_and_none_unknown(folder, splits):
    t = load_sentencepiece(folder, "hf")
    ids = t.encode(words_of(splits["test"]))
    assert not any(t.unk_id in row for row in ids)
    assert sum(map(len, ids)) / len(ids) < 2


def test_prompts_are_short(folder, splits):
    # Unigram on so small a corpus gave 93 pieces a prompt; see FACTS.
    t = load_sentencepiece(folder, "hf")
    rows = t.encode([prompts.entities(SCHEMA.names, s.types()).string(s.words) for s in splits["test"]])
    assert sum(map(len, rows)) / len(rows) < 65


def test_both_back_ends_and_transformers_agree(folder, splits):
    from transformers import T5Tokenizer

    reference = T5Tokenizer.from_pretrained(str(folder))
    strings = [" ".join(s.words) for s in splits["test"]]
    strings += [prompts.entities(SCHEMA.names, s.types()).string(s.words) for s in splits["test"]]
    strings += [linearize(sentence_items(s)) for s in splits["test"]]
    expected = [tuple(row) for row in reference(strings, add_special_tokens=False)["input_ids"]]
    for backend in BACKENDS:
        assert load_sentencepiece(folder, backend).encode(strings) == expected


def test_no_letter_of_the_texts_is_too_rare(tmp_path):
    """Prompts repeat the same characters so often that a share of all would leave out capitals."""
    texts = [sentence("the", "cat", "sat")] * 3000 + [sentence("Quiz", "~42^")]
    train_sentencepiece(tmp_path, generator_corpus(texts, PLAIN), 200)
    t = load_sentencepiece(tmp_path, "hf")
    assert not any(t.unk_id in row for row in t.encode(["Quiz", "~42^"]))


def test_long_and_odd_sentences_are_learned_from_too(tmp_path):
    words = ["zebra"] * 10_000 + ["\ud800", "▁", "\u2047", "\u200b", "tab\tbed"]
    train_sentencepiece(tmp_path, generator_corpus([sentence(*words)], PLAIN), 120)
    train_wordpiece(tmp_path, matcher_corpus([sentence(*words)], PLAIN), 120)
    t = load_sentencepiece(tmp_path, "hf")
    assert [t.piece(i) for i in t.encode(["zebra"])[0]] == ["▁zebra"]
    w = load_wordpiece(tmp_path, "hf")
    assert [w.piece(i) for i in w.encode(["zebra"])[0]] == ["zebra"]


def test_too_small_a_vocabulary_is_the_users_to_fix(tmp_path, splits):
    with pytest.raises(
        UserError, match=r"^tokenizer\.generator_vocab_size=20: the characters and symbols alone are"
    ) as error:
        train_sentencepiece(tmp_path, generator_corpus(splits["train"], SCHEMA), 20)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


# The matcher's.


def test_a_trained_wordpiece_vocabulary_is_berts_in_form(folder, splits):
    pieces = (folder / "vocab.txt").read_text("utf-8").split("\n")
    assert pieces.pop() == ""
    assert len(pieces) == 2000
    assert len(set(pieces)) == len(pieces)
    assert pieces[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert all(p == p.lower() and len(p.split()) == 1 for p in pieces[5:])
    seen = set("".join(words_of(splits["train"])).lower())
    assert seen <= set(pieces)
    assert {f"##{c}" for c in seen if c.isalnum()} <= set(pieces)
    assert not {f"##{c}" for c in seen if not c.isalnum()} & set(pieces)  # these always stand alone


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_text_and_new_words_have_no_unknown_pieces(folder, splits, backend):
    t = load_wordpiece(folder, backend)
    words = words_of(splits["train"])
    for word, ids in zip(words, t.encode(words), strict=True):
        assert "".join(t.piece(i).removeprefix("##") for i in ids) == word.lower()
    assert not any(t.unk_id in ids for ids in t.encode(words_of(splits["test"])))
    assert not any(t.unk_id in ids for ids in t.encode([x.text for x in SCHEMA.types]))


def test_words_have_few_pieces(folder, splits):
    t = load_wordpiece(folder, "hf")
    for split, limit in (("train", 1.3), ("test", 1.4)):
        ids = t.encode(words_of(splits[split]))
        assert sum(map(len, ids)) / len(ids) < limit


def test_both_bert_back_ends_and_transformers_agree(folder, splits):
    from transformers import BertTokenizer

    strings = [" ".join(s.words) for s in splits["test"]] + ["Zoë's naïve … 東京 [x]", "ŁÓDŹ ﬁne"]
    reference = BertTokenizer.from_pretrained(str(folder))
    expected = [tuple(row) for row in reference(strings, add_special_tokens=False)["input_ids"]]
    for backend in BACKENDS:
        assert load_wordpiece(folder, backend).encode(strings) == expected


def test_characters_have_precedence_over_the_size(tmp_path):
    train_wordpiece(tmp_path, matcher_corpus([sentence("Abc", "1-2", "東京")], PLAIN), 10)
    pieces = (tmp_path / "vocab.txt").read_text("utf-8").split()
    assert all(len(p.removeprefix("##")) == 1 for p in pieces[5:])
    assert {*"abc12-東京", *(f"##{c}" for c in "abc12")} <= set(pieces)
    assert not {"##-", "##東", "##京"} & set(pieces)
    for backend in BACKENDS:
        t = load_wordpiece(tmp_path, backend)
        assert [t.piece(i) for i in t.encode(["Cab21-東"])[0]] == ["c", "##a", "##b", "##2", "##1", "-", "東"]


@pytest.mark.slow
@needs_shared
def test_on_real_text(tmp_path):
    sentences = read(SHARED, "wnut17/wnut17train.conll").sentences
    assert ties_after_training(tmp_path, sentences, (8000, 4000), 1.6) < 30  # `Shhhhhhh`, `3333`: of 14,878


def test_on_posts_of_our_own(own, tmp_path):
    sentences = read(own, "wnut17/wnut17train.conll").sentences
    assert ties_after_training(tmp_path, sentences, (500, 400), 2) == 0


def ties_after_training(folder, sentences, sizes, limit):
    """Trains both on sentences, whose words then have few pieces and none unknown; returns of how many words the
    generator's back ends take different cuts, each as good as the other."""
    schema = BUILTIN["wnut17"]
    train_wordpiece(folder, matcher_corpus(sentences, schema), sizes[0])
    train_sentencepiece(folder, generator_corpus(sentences, schema), sizes[1])
    assert len((folder / "vocab.txt").read_text("utf-8").split("\n")) == sizes[0] + 1
    words = words_of(sentences)
    first, second = (load_wordpiece(folder, b) for b in BACKENDS)
    ids = first.encode(words)
    assert ids == second.encode(words)
    assert not any(first.unk_id in row for row in ids)
    assert sum(map(len, ids)) / len(ids) < limit
    first, second = (load_sentencepiece(folder, b) for b in BACKENDS)
    ids = first.encode(words)
    assert not any(first.unk_id in row for row in ids)
    ties = {w: (a, b) for w, a, b in zip(words, ids, second.encode(words), strict=True) if a != b}
    score = first._vocabulary.get_score
    for a, b in ties.values():
        assert sum(map(score, a)) == pytest.approx(sum(map(score, b)), abs=1e-4)
    return len(ties)


# Both.

# Of the lines, and of the files that SentencePiece 0.2.3 makes of them.
LINES = "a9cca2c4a3db16fb6f411debe9e928935e16c879c06a306b6ab7cd2f87fb4c42"
FILES = {
    "spiece.model": "f89f895e774c9f7da67cfa6079443ea7540ea59ea29a1251abb1e5841581989c",
    "vocab.txt": "33f7edc46ba5ead1c49b47fe67b1b0e824549150982b067c223928b7525a09bd",
}


def test_what_is_learned_from_stays_the_same(splits):
    """Runs of an older version go on with their tokenizers: other lines would make others."""
    lines = generator_corpus(splits["train"], SCHEMA).lines
    assert len(lines) == 5800
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == LINES


@pytest.mark.skipif(sentencepiece.__version__ != "0.2.3", reason="another SentencePiece")
@pytest.mark.parametrize("name", FILES)
def test_the_files_stay_the_same_byte_for_byte(folder, name):
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == FILES[name]


PROGRAM = """
import sys
from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.pipeline.corpus import generator_corpus, matcher_corpus
from toner_jax.text.train_tokenizers import train_sentencepiece, train_wordpiece
sentences = generate(0, {"train": 1000})["train"]
train_sentencepiece(sys.argv[1], generator_corpus(sentences, SCHEMA), 1000)
train_wordpiece(sys.argv[1], matcher_corpus(sentences, SCHEMA), 2000)
"""


@pytest.mark.parametrize("seed", ["1", "2"])
def test_other_processes_with_other_hash_seeds_write_the_same_files(folder, tmp_path, seed):
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], env=environment, check=True, timeout=120)
    for name in ("spiece.model", "vocab.txt"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
