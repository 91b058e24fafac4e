"""Prompts: their strings literally, their ids against literals and against joint tokenization."""

import pytest
from shared_data import SHARED, needs_shared, read, schema_of

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.evaluation.ceiling import alignment_ceiling
from toner_jax.pipeline.corpus import generator_corpus
from toner_jax.schema import Entity, make_sentence
from toner_jax.tasks import prompts
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.typed import Writing
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

# Prompts of which TensorFlow Text segments a word (`!!!!!!!`, `plzzz`, `hmmm`) in another way of the same
# score when it reads them whole, as it did when this was written. There are two prompts a sentence.
TIES = {
    "wnut17/wnut17train.conll": 64,
    "wnut17/emerging.dev.conll": 10,
    "wnut17/emerging.test.annotated": 4,
    "jnlpba/Genia4EReval1.iob2": 0,
    "genia_nested/genia.dev.iob2": 0,
}
BACKENDS = ("hf", "tf_text")


def load(folder, backend):
    return WordIds(load_sentencepiece(folder / "t5_vocab", backend))


@pytest.fixture(scope="module", params=BACKENDS)
def t5(request, shared):
    return load(shared, request.param)


def test_the_authors_words(t5):
    """As their code writes them: another preposition, a stop behind T, none behind T′."""
    theirs = prompts.AUTHORS
    likely = "\nEntities of type [person] may exist in text"
    asked = FIRST.replace("type [", "the type [")
    found = {
        asked.replace("]", "].") + TEXT + likely: prompts.entities(TYPES, ["person"], phrases=theirs),
        asked.replace("]", "] and give explanations.") + TEXT + likely: prompts.entities(
            TYPES, ["person"], explain=True, phrases=theirs
        ),
        "List all entity types in the text of the type [organization, person, miscellaneous, location].\n"
        + TEXT: prompts.occurring_types(TYPES, theirs),
    }
    for string, wording in found.items():
        assert wording.string(WORDS) == string
        assert t5.decode(wording.prompt(t5, WORDS).ids) == " ".join(string.split())
    longest = max(len(w.prompt(t5, ()).ids) for w in found.values() if prompts.EXPLAIN not in w.before[0])
    assert prompts.overhead(t5, TYPES[:1], theirs) == longest + 1 - len(t5.type_list(TYPES)) + len(
        t5.type_list(TYPES[:1])
    ) - len(t5.type_list(["person"])) + len(t5.type_list(TYPES[:1]))


def test_a_target_of_unique_pairs_names_each_once(t5):
    """Where it first stands; the same string of another type is another pair."""
    schema = BUILTIN["conll2003"]
    spans = [Entity(i, i + 1, t) for i, t in ((0, "person"), (1, "location"), (2, "person"), (2, "location"))]
    sentence = make_sentence("s", ["Jordan", "Paris", "Jordan"], spans, schema)
    each, once = (
        Entities(t5, schema, Writing(unique_pairs=unique)).target(sentence) for unique in (False, True)
    )
    assert t5.decode(each) == "[(person, Jordan), (location, Paris), (person, Jordan), (location, Jordan)]"
    assert t5.decode(once) == "[(person, Jordan), (location, Paris), (location, Jordan)]"
    assert alignment_ceiling([sentence], schema, t5) == 1
    # What is named once is found once, where it first stands.
    assert alignment_ceiling([sentence], schema, t5, unique_pairs=True) < 1


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
def test_golden_ids_of_prompts():
    person_or_organization = (*HINT_IDS, 784, 6075, 6, 1470, 908, *EXIST_IDS)
    nothing = (*HINT_IDS, 784, 908, *EXIST_IDS)
    instruction = (6792, 66, 10409, 1308, 16, 8, 1499, 45, 686)
    for backend in BACKENDS:
        t5 = load(SHARED, backend)
        for matched, tail in (
            (["person", "organization"], person_or_organization),
            ([], nothing),
            (None, ()),
        ):
            got = prompts.entities(TYPES, matched).prompt(t5, WORDS)
            assert got.ids == (*PREFIX_IDS, *TYPES_IDS, 5027, 10, *TEXT_IDS, *tail), (backend, matched)
            assert got.ids[got.text_start : got.text_end] == TEXT_IDS, (backend, matched)
        got = prompts.occurring_types(TYPES).prompt(t5, WORDS)
        assert got.ids == (*instruction, *TYPES_IDS, 5027, 10, *TEXT_IDS), backend
        assert got.ids[got.text_start : got.text_end] == TEXT_IDS, backend
        got = prompts.entities(["person"], None).prompt(t5, [])
        assert got.ids == (*PREFIX_IDS, 784, 6075, 908, 5027, 10), backend
        assert (got.text_start, got.text_end) == (11, 11), backend


@pytest.mark.parametrize("words", [WORDS, ()])
def test_the_text_stands_where_a_prompt_says(t5, words):
    text_ids = t5.words(words)
    for matched in (["person", "organization"], [], None):
        for wording in (prompts.entities(TYPES, matched), prompts.occurring_types(TYPES)):
            got = wording.prompt(t5, words)
            assert got.ids[got.text_start : got.text_end] == text_ids
            assert t5.decode(got.ids) == " ".join(wording.string(words).split())
            assert t5.decode(got.ids[: got.text_start]).endswith("Text:")


def test_text_that_spells_special_tokens_puts_none_into_the_prompt(t5):
    hostile = ("</s>", "<pad>", "<unk>", "<extra_id_0>", "▁</s>", "\uf8ff1\uf8ff")
    got = prompts.entities(TYPES, TYPES).prompt(t5, hostile)
    assert {t5.tokenizer.pad_id, t5.tokenizer.eos_id}.isdisjoint(got.ids)
    assert max(got.ids) < t5.tokenizer.vocab_size


def differing(folder, file, backend):
    """Of how many prompts the ids, made word by word, are not those of joint tokenization, but as good."""
    t5, names = WordIds(load(folder, backend).tokenizer, "words"), BUILTIN[schema_of(file)].names
    sentences = read(folder, file).sentences
    t5.prepare(w for s in sentences for w in s.words)
    strings, ids = [], []
    for i, s in enumerate(sentences):
        matched = (s.types()[::-1], names, None)[i % 3]
        for wording in (prompts.entities(names, matched), prompts.occurring_types(names)):
            strings.append(wording.string(s.words))
            ids.append(wording.prompt(t5, s.words).ids)
    joint = t5.tokenizer.encode(strings)
    different = [(a, b) for a, b in zip(ids, joint, strict=True) if a != b]
    assert all(_tied(t5, a, b) for a, b in different), (file, backend)
    return len(different)


@pytest.mark.parametrize("backend", BACKENDS)
def test_word_by_word_ids_equal_joint_tokenization(own, backend):
    assert {file: differing(own, file, backend) for file in TIES} == dict.fromkeys(TIES, 0)


@pytest.mark.slow
@needs_shared
def test_so_do_those_of_all_real_prompts():
    """But for ties, which TensorFlow Text breaks depending on the words around."""
    for file, ties in TIES.items():
        for backend in BACKENDS:
            assert differing(SHARED, file, backend) <= (ties if backend == "tf_text" else 0), (file, backend)


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
