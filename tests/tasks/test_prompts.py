"""Prompts: their strings literally, their ids against literals and against joint tokenization."""

import pytest
from shared_data import SHARED, needs_shared

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.columns import read_columns
from toner_jax.pipeline.corpus import generator_corpus
from toner_jax.tasks import prompts
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece
from toner_jax.text.train_tokenizers import train_sentencepiece

TYPES = BUILTIN["conll2003"].names
WORDS = ("Wellington", "beat", "Otago", ".")
FIRST = "List all named entities of type [organization, person, miscellaneous, location]\n"
TEXT = "Text: Wellington beat Otago ."

PREFIX_IDS = (6792, 66, 2650, 12311, 13, 686)
TYPES_IDS = (784, 17939, 257, 6, 568, 6, 1817, 7125, 8102, 1162, 6, 1128, 908)
TEXT_IDS = (25176, 3853, 411, 2408, 32, 3, 5)
HINT_IDS = (4443, 2197, 13, 686)
EXIST_IDS = (164, 3223, 16, 1499, 5)

REAL_TEXTS = {
    "wnut17/wnut17train.conll": ("wnut17", (-1,)),
    "wnut17/emerging.dev.conll": ("wnut17", (-1,)),
    "wnut17/emerging.test.annotated": ("wnut17", (-1,)),
    "jnlpba/Genia4EReval1.iob2": ("jnlpba", (-1,)),
    "genia_nested/genia.dev.iob2": ("jnlpba", ()),
}
# Prompts of which TensorFlow Text segments a word (`!!!!!!!`, `plzzz`, `hmmm`) in another way of the same
# score when it reads them whole, as it did when this was written. There are two prompts a sentence.
TIES = {
    "wnut17/wnut17train.conll": 64,
    "wnut17/emerging.dev.conll": 10,
    "wnut17/emerging.test.annotated": 4,
}


@pytest.fixture(scope="module", params=["hf", "tf_text"])
def t5(request):
    word_ids = WordIds(load_sentencepiece(SHARED / "t5_vocab", request.param))
    word_ids.backend = request.param
    return word_ids


def test_ner_prompt_names_the_matched_types_in_the_order_given():
    assert prompts.entities(TYPES, ["person", "organization"]).string(WORDS) == (
        f"{FIRST}{TEXT}\nEntities of type [person, organization] may exist in text."
    )


def test_ner_prompt_says_that_nothing_matched():
    assert (
        prompts.entities(TYPES, []).string(WORDS) == f"{FIRST}{TEXT}\nEntities of type [] may exist in text."
    )


def test_ner_prompt_without_type_matching_has_no_third_line():
    assert prompts.entities(TYPES, None).string(WORDS) == FIRST + TEXT


def test_type_recognition_prompt_never_has_a_third_line():
    assert prompts.occurring_types(TYPES).string(WORDS) == (
        "List all entity types in the text from type [organization, person, miscellaneous, location]\n" + TEXT
    )


def test_an_explanation_is_asked_for_in_the_first_line():
    assert prompts.entities(TYPES, ["location"], explain=True).string(WORDS) == (
        "List all named entities of type [organization, person, miscellaneous, location] and give explanations.\n"
        f"{TEXT}\nEntities of type [location] may exist in text."
    )


@needs_shared
@pytest.mark.parametrize(
    ("matched", "tail"),
    [
        (["person", "organization"], (*HINT_IDS, 784, 6075, 6, 1470, 908, *EXIST_IDS)),
        ([], (*HINT_IDS, 784, 908, *EXIST_IDS)),
        (None, ()),
    ],
)
def test_golden_ids_of_ner_prompts(t5, matched, tail):
    got = prompts.entities(TYPES, matched).prompt(t5, WORDS)
    assert got.ids == (*PREFIX_IDS, *TYPES_IDS, 5027, 10, *TEXT_IDS, *tail)
    assert got.ids[got.text_start : got.text_end] == TEXT_IDS


@needs_shared
def test_golden_ids_of_a_type_recognition_prompt(t5):
    got = prompts.occurring_types(TYPES).prompt(t5, WORDS)
    instruction = (6792, 66, 10409, 1308, 16, 8, 1499, 45, 686)
    assert got.ids == (*instruction, *TYPES_IDS, 5027, 10, *TEXT_IDS)
    assert got.ids[got.text_start : got.text_end] == TEXT_IDS


@needs_shared
def test_golden_ids_of_an_empty_text(t5):
    got = prompts.entities(["person"], None).prompt(t5, [])
    assert got.ids == (*PREFIX_IDS, 784, 6075, 908, 5027, 10)
    assert (got.text_start, got.text_end) == (11, 11)


@needs_shared
def test_text_that_spells_special_tokens_puts_none_into_the_prompt(t5):
    hostile = ("</s>", "<pad>", "<unk>", "<extra_id_0>", "▁</s>", "\uf8ff1\uf8ff")
    got = prompts.entities(TYPES, TYPES).prompt(t5, hostile)
    assert {t5.tokenizer.pad_id, t5.tokenizer.eos_id}.isdisjoint(got.ids)
    assert max(got.ids) < 32_000


@needs_shared
@pytest.mark.parametrize("file", REAL_TEXTS)
def test_word_by_word_ids_equal_joint_tokenization(t5, file):
    """On all real prompts, but for ties, which TensorFlow Text breaks depending on the words around."""
    schema_name, tag_columns = REAL_TEXTS[file]
    schema = BUILTIN[schema_name]
    sentences, _ = read_columns(SHARED / "data" / file, schema, tag_columns=tag_columns)
    t5.prepare(w for s in sentences for w in s.words)
    strings, ids = [], []
    for i, s in enumerate(sentences):
        matched = (s.types()[::-1], schema.names, None)[i % 3]
        for wording in (prompts.entities(schema.names, matched), prompts.occurring_types(schema.names)):
            strings.append(wording.string(s.words))
            ids.append(wording.prompt(t5, s.words).ids)
    joint = t5.tokenizer.encode(strings)
    different = [(a, b) for a, b in zip(ids, joint, strict=True) if a != b]
    assert all(_tied(t5, a, b) for a, b in different)
    assert len(different) <= (TIES.get(file, 0) if t5.backend == "tf_text" else 0)


def _tied(t5, ids, others):
    """Whether two segmentations of one string are as long and have the same score."""

    def score(segmentation):
        return sum(t5.tokenizer._vocabulary.get_score(i) for i in segmentation)

    return (
        t5.spell(ids)[0] == t5.spell(others)[0]
        and len(ids) == len(others)
        and score(ids) == pytest.approx(score(others), abs=1e-4)
    )


def test_ids_of_a_trained_tokenizer_spell_the_prompt(tmp_path):
    sentences = generate(0, {"train": 1000})["train"]
    train_sentencepiece(tmp_path, generator_corpus(sentences, SCHEMA), 1000)
    word_ids = WordIds(load_sentencepiece(tmp_path, "hf"))
    names = SCHEMA.names
    for s in sentences[:200]:
        hints = (s.types(), (), None)
        wordings = [prompts.entities(names, hint, explain=e) for hint in hints for e in (False, True)]
        for wording in (*wordings, prompts.occurring_types(names)):
            got = wording.prompt(word_ids, s.words)
            assert word_ids.decode(got.ids) == wording.string(s.words).replace("\n", " ")
            assert word_ids.decode(got.ids[got.text_start : got.text_end]) == " ".join(s.words)
