"""Tokens added to a vocabulary, and a `tokenizer.json` that stands alone, are read as transformers reads them."""

import json
import shutil

import compare_tokenizers
import pytest
from shared_data import SHARED, needs_shared
from test_tokenizers import BACKENDS, ODD_STRINGS

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.errors import UserError
from toner_jax.pipeline.corpus import generator_corpus, matcher_corpus
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece, load_wordpiece
from toner_jax.text.train_tokenizers import train_sentencepiece, train_wordpiece

SENTENCES = generate(0, {"train": 300})["train"]
ADDED = ["{", "}", "<", "Covid", "New York"]
WITH_ADDED = (
    *(
        "{",
        "}",
        "x<y",
        "a { b",
        "{}",
        "<<",
        "ｘ｛ｙ",
        "covid",
        "Covid",
        "Covids",
        "aCovid2 <",
        "½<",
        "New York",
        "< {",
    ),
    *("in New York<", "☃{", "{☃", "{ ☃"),
)
# Text that spells a special token becomes it in transformers alone.
STRINGS = [
    s
    for s in (*ODD_STRINGS, *WITH_ADDED)
    if not any(c in s for c in ("</s>", "<pad>", "<unk>", "[", "<extra"))
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Folders of both kinds with the one file that was trained."""
    folder = tmp_path_factory.mktemp("plain")
    train_sentencepiece(folder / "t5", generator_corpus(SENTENCES, SCHEMA), 500)
    train_wordpiece(folder / "bert", matcher_corpus(SENTENCES, SCHEMA), 600)
    return folder


def theirs(folder, kind):
    from transformers import BertTokenizer, T5Tokenizer

    options = {"extra_ids": 3} if kind == "t5" else {}
    return {"t5": T5Tokenizer, "bert": BertTokenizer}[kind].from_pretrained(folder, **options)


@pytest.fixture(scope="module")
def saved(plain, tmp_path_factory):
    """The same as transformers saves them with tokens added: `tokenizer.json` alone."""
    folder = tmp_path_factory.mktemp("saved")
    for kind in ("t5", "bert"):
        tokenizer = theirs(plain / kind, kind)
        tokenizer.add_tokens(ADDED)
        tokenizer.save_pretrained(folder / kind)
        assert not {"spiece.model", "vocab.txt"} & {p.name for p in (folder / kind).iterdir()}
    return folder


LOADERS = {"t5": load_sentencepiece, "bert": load_wordpiece}
FILES = {"t5": "spiece.model", "bert": "vocab.txt"}


def their_ids(tokenizer, strings):
    return [tuple(tokenizer(s, add_special_tokens=False).input_ids) for s in strings]


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("beside", [False, True])
def test_the_ids_are_transformers_own(plain, saved, tmp_path, kind, backend, beside):
    shutil.copytree(saved / kind, tmp_path, dirs_exist_ok=True)
    if beside:  # the trained file, too, as transformers 4 saved both
        shutil.copy(plain / kind / FILES[kind], tmp_path)
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(saved / kind)
    ours = LOADERS[kind](tmp_path, backend)
    words = sorted({w for s in SENTENCES[:100] for w in s.words})
    # A combining mark after a rewritten character is cut in two ways (toner_jax.text.tokenizers).
    strings = [s for s in STRINGS if backend == "hf" or s not in ("½<", "a" * 300, "1" * 300, "-" * 10)]
    assert dict(zip(strings, ours.encode(strings), strict=True)) == dict(
        zip(strings, their_ids(reference, strings), strict=True)
    )
    assert ours.encode(words) == their_ids(reference, words)
    assert ours.vocab_size == len(reference)
    for token in ADDED:
        (ids,) = ours.encode([token])
        assert ids == (reference.convert_tokens_to_ids(token),)
        assert ours.piece(ids[0]) == token


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_trained_file_and_tokenizer_json_alone_give_the_same(plain, tmp_path, backend):
    theirs(plain / "t5", "t5").save_pretrained(tmp_path / "t5")
    theirs(plain / "bert", "bert").save_pretrained(tmp_path / "bert")
    for kind, load in LOADERS.items():
        one, other = load(plain / kind, backend), load(tmp_path / kind, backend)
        assert one.encode(ODD_STRINGS) == other.encode(ODD_STRINGS)
        assert one.vocab_size == other.vocab_size  # extra ids are no text's
        assert [one.piece(i) for i in range(one.vocab_size)] == [
            other.piece(i) for i in range(one.vocab_size)
        ]
        assert (one.pad_id, one.unk_id) == (other.pad_id, other.unk_id)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("file", ["added_tokens.json", "tokenizer_config.json"])
def test_other_files_that_name_added_tokens(plain, tmp_path, backend, file):
    shutil.copy(plain / "t5" / "spiece.model", tmp_path)
    size = load_sentencepiece(tmp_path, "hf").vocab_size
    tokens = {"{": size + 1, "<extra_id_0>": size, "<mark>": size + 2}
    if file == "added_tokens.json":
        (tmp_path / file).write_text(json.dumps(tokens))
        (tmp_path / "special_tokens_map.json").write_text(
            json.dumps({"additional_special_tokens": ["<mark>"]})
        )
    else:
        entries = {str(i): {"content": t, "special": t != "{"} for t, i in tokens.items()}
        (tmp_path / file).write_text(json.dumps({"added_tokens_decoder": entries}))
    t = load_sentencepiece(tmp_path, backend)
    assert t.encode(["{"]) == [(size + 1,)]
    assert t.vocab_size == size + 2
    assert size not in t.encode(["<extra_id_0>"])[0]
    assert size + 2 not in t.encode(["<mark>"])[0]
    assert [t.piece(size + i) for i in range(3)] == ["", "{", ""]


@pytest.mark.parametrize("backend", BACKENDS)
def test_source_target_and_reading_use_them(saved, backend):
    ids = WordIds(load_sentencepiece(saved / "t5", backend))
    brace, less = (ids.tokenizer.encode([t])[0] for t in "{<")
    assert ids.words(["a", "{", "\ue000<"]) == (*ids.word("a"), *brace, *less)
    assert ids.words(["a", "{"])[-1:] == brace
    assert ids.word("\ue000{") == brace
    target = ids.items([("person", ["a", "\ue000<"]), ("place", ["{"])])
    assert less[0] in target
    assert brace[0] in target
    assert ids.decode(target).replace(" ", "") == "[(person,a<),(place,{)]"
    assert ids.surface("\ue000{") == "\ue000{"


def test_what_no_text_becomes_is_told(saved, tmp_path):
    shutil.copytree(saved / "t5", tmp_path, dirs_exist_ok=True)
    whole = json.loads((tmp_path / "tokenizer.json").read_text())
    last = whole["added_tokens"][-1]["id"]
    whole["added_tokens"] += [
        {"id": last + 1, "content": "<mark>", "special": True, "normalized": False},
        {"id": last + 2, "content": "IL-2", "special": False, "normalized": True},
    ]
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    tokenizer = load_sentencepiece(tmp_path, "hf")
    assert WordIds(tokenizer).unread_tokens() == {
        "New York": "it has white space",
        "<mark>": "it is special",
        "IL-2": "it is no single atom; tokenizer.ids=words reads it",
    }
    assert list(WordIds(tokenizer, "words").unread_tokens()) == ["New York", "<mark>"]
    assert WordIds(tokenizer, "words").word("IL-2") == (last + 2,)


METASPACE = {"type": "Metaspace", "replacement": "▁"}
SAVED_BY_OTHERS = {
    "old": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, METASPACE | {"add_prefix_space": True}]},
    "legacy": METASPACE | {"prepend_scheme": "always", "split": True},
    "not legacy": METASPACE | {"prepend_scheme": "first", "split": True},
}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("form", SAVED_BY_OTHERS)
def test_what_other_versions_of_transformers_saved(saved, tmp_path, form, backend):
    from tokenizers import Tokenizer

    def edit(whole):
        whole["pre_tokenizer"] = SAVED_BY_OTHERS[form]
        if form != "old":
            spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}
            strip = {"type": "Strip", "strip_left": False, "strip_right": True}
            whole["normalizer"] = {"type": "Sequence", "normalizers": [whole["normalizer"], strip, spaces]}

    path = change(saved, tmp_path, "t5", edit)
    reference, ours = Tokenizer.from_file(str(path)), load_sentencepiece(tmp_path, backend)
    strings = ["{", "x<y", "a{☃", "☃{b", "{}<", "ship", "Covids", "x{y z<"]
    expected = [tuple(reference.encode(s, add_special_tokens=False).ids) for s in strings]
    assert ours.encode(strings) == expected
    spelled = "".join(map(ours.piece, ours.encode(["x<y"])[0]))
    assert spelled == ("▁x<y" if form == "not legacy" else "▁x<▁y")


def test_both_back_ends_fall_back_to_bytes_where_the_model_does(tmp_path):
    import sentencepiece

    with (tmp_path / "spiece.model").open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([" ".join(s.words) for s in SENTENCES]), model_writer=file, vocab_size=500,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, byte_fallback=True, minloglevel=2,
        )  # fmt: skip
    one, other = (load_sentencepiece(tmp_path, b) for b in BACKENDS)
    strings = ["☃", "a☃b", "rain", "漢字", "\ue000", "\ue000☃"]
    assert one.encode(strings) == other.encode(strings)
    assert one.unk_id not in one.encode(strings)[0]


@pytest.mark.slow
@needs_shared
def test_published_vocabularies_give_transformers_own_ids(tmp_path):
    from transformers import AutoTokenizer

    for kind in LOADERS:
        tokenizer = theirs(SHARED / f"{kind}_vocab", kind)
        tokenizer.add_tokens(ADDED)
        tokenizer.save_pretrained(tmp_path / kind)
        reference = AutoTokenizer.from_pretrained(tmp_path / kind)
        strings = [*compare_tokenizers.real_words()[::7], *STRINGS]
        assert LOADERS[kind](tmp_path / kind, "hf").encode(strings) == their_ids(reference, strings)


def change(saved, tmp_path, kind, edit):
    shutil.copytree(saved / kind, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "tokenizer.json"
    whole = json.loads(path.read_text())
    edit(whole)
    path.write_text(json.dumps(whole))
    return path


def set_at(*keys, value):
    def edit(whole):
        for key in keys[:-1]:
            whole = whole[key]
        whole[keys[-1]] = value

    return edit


T5_ONLY, BERT_ONLY = "is not supported, only 'Unigram'", "is not supported, only 'WordPiece'"
SPACES = ("pre_tokenizer", "pretokenizers", 1)
BYTE_LEVEL = {"type": "BPE", "vocab": {"a": 0}, "merges": []}
WRONG = {
    "words cut in two places": (
        "t5",
        set_at("pre_tokenizer", "pretokenizers", 0, value={"type": "Punctuation"}),
        "pre_tokenizer 'Punctuation' is not",
    ),
    "byte-level BPE as a generator": ("t5", set_at("model", value=BYTE_LEVEL), f"model 'BPE' {T5_ONLY}"),
    "WordPiece as a generator": ("t5", set_at("model", "type", value="WordPiece"), "model 'WordPiece' is not"),
    "byte-level BPE as a matcher": ("bert", set_at("model", value=BYTE_LEVEL), f"model 'BPE' {BERT_ONLY}"),
    "unigram as a matcher": ("bert", set_at("model", "type", value="Unigram"), "model 'Unigram' is not"),
    "lower case": ("t5", set_at("normalizer", value={"type": "Lowercase"}), "normalizer 'Lowercase' is not"),
    "digits apart": ("t5", set_at("pre_tokenizer", value={"type": "Digits"}), "pre_tokenizer 'Digits' is not"),
    "another space": ("t5", set_at(*SPACES, "replacement", value="_"), "replacement of spaces '_'"),
    "no space first": ("t5", set_at(*SPACES, "prepend_scheme", value="never"), "prepend_scheme 'never'"),
    "long words": ("bert", set_at("model", "max_input_chars_per_word", value=9), "max_input_chars_per_word 9"),
    "no normalizer": ("bert", set_at("normalizer", value=None), "damaged (normalizer is None)"),
    "gaps": ("bert", set_at("model", "vocab", "[PAD]", value=5000), "damaged (no ids 0, 1, …"),
    "no rows": ("t5", set_at("model", "vocab", value=[1]), "damaged ("),
    "no unknown": ("t5", set_at("model", "unk_id", value=None), "damaged (unk_id is None)"),
    "no model": ("t5", set_at("model", value=None), "damaged (model is None)"),
    "an id of letters": ("t5", set_at("added_tokens", 0, "id", value="x"), "not a tokenizer's settings"),
    "two contents": ("bert", set_at("added_tokens", 0, "id", value=1), "which disagrees with"),
    "an id of a piece": ("t5", set_at("added_tokens", -1, "id", value=7), "has the id 7 of the vocabulary's"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(saved, tmp_path, name):
    kind, edit, message = WRONG[name]
    change(saved, tmp_path, kind, edit)
    with pytest.raises(UserError) as error:
        LOADERS[kind](tmp_path, "hf")
    assert str(error.value).startswith(str(tmp_path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_line_that_stands_twice_in_a_vocabulary(plain, tmp_path):
    """`tokenizer.json` gives the piece one id, the last; `vocab.txt` has two lines."""
    folder = tmp_path / "twice"
    shutil.copytree(plain / "bert", folder)
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    pieces.append(pieces[20])
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    from tokenizers import BertWordPieceTokenizer

    BertWordPieceTokenizer(str(folder / "vocab.txt")).save(str(folder / "tokenizer.json"))
    assert load_wordpiece(folder, "hf").vocab_size == len(pieces)
