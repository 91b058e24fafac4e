"""Outputs under a budget: the first whole items, what is cut counted, and windows that are too much read in halves."""

from __future__ import annotations

import random
import sys
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared

from toner_jax.config import base
from toner_jax.inference.free import FreeGenerator
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.programs import Programs
from toner_jax.inference.recognize import Recognizer
from toner_jax.inference.windows import Window, halves
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs.recognizers import decode_options
from toner_jax.schema import Entity, make_sentence
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.output import Input, Output, WrittenSpan
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece

sys.path.insert(0, str(tiny.ROOT / "tests" / "stress"))
import fuzz_budget
import fuzz_grammar

SCHEMA = fuzz_budget.SCHEMA


@pytest.fixture(scope="module")
def word_ids():
    return WordIds(load_sentencepiece(SHARED / "t5_vocab", "hf"))


def check(task, count: int, seed: int, room: int = 0, **options) -> None:
    """Compares outputs under each budget with those that have all the room there is."""
    given = fuzz_budget.inputs(random.Random(seed), task, count, room)
    runs = fuzz_budget.written(task, given, seed, **options)
    _, whole = next(runs)
    assert sum(len(o.spans) for o in whole) > count / 8
    truncated = []
    for budget, outputs in runs:
        wrong = [
            problem
            for i, full, cut in zip(given, whole, outputs, strict=True)
            for problem in fuzz_budget.faults(task, i, full, cut, budget)
        ]
        assert wrong == [], budget
        truncated.append(sum(o.truncated for o in outputs))
    # Lists of random weights have another length from seed to seed; some budget must cut some of them, and not all.
    assert any(0 < n < count for n in truncated), truncated


@pytest.mark.slow
@needs_shared
def test_under_any_budget_the_first_items_are_written(word_ids):
    task = Entities(word_ids, SCHEMA)
    check(task, 60, 7, room=16, max_source=task.overhead() + 16)  # one length of sources, so one program


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("seed", [7, 8])
@pytest.mark.parametrize(
    ("task", "options"),
    [(Entities, {}), (Entities, {"flat": True}), (Entities, {"tokens_per_pass": 1}), (TypeRecognition, {})],
    ids=["ner", "flat", "one a pass", "types"],
)
def test_under_any_budget_of_any_task(word_ids, task, options, seed):
    check(task(word_ids, SCHEMA), 150, seed, **options)


# Freely written lists.


class Script:
    """A decoder that is all but sure to write `tokens`, whatever it is given."""

    width = 1

    def __init__(self, tokens, vocabulary: int):
        self._logits_TV = jnp.zeros((len(tokens), vocabulary)).at[jnp.arange(len(tokens)), tokens].set(40.0)

    def prepared(self):
        return self

    def encode(self, ids, candidates=None):
        return ids

    def init_cache(self, rows, slots):
        return jnp.zeros(rows, jnp.int32)

    def step(self, tokens, source, cache):
        return self._logits_TV[cache][:, None], cache + 1

    def reorder(self, cache, rows):
        return cache[rows]


WORDS = ["Ann", ")", ",", "(", "Bo", "of", "Ann", "met", "Bo", "Li"]
ITEMS = [("dna", (0, 1)), ("cell_type", (2, 5)), ("dna", (4, 5)), ("protein", (8, 10))]


@needs_shared
@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("budget", [4, 8, 16, 20, 64])
def test_of_a_free_list_whole_items_count(word_ids, beams, budget):
    task = Entities(word_ids, SCHEMA)
    items = [(name, WORDS[a:b]) for name, (a, b) in ITEMS]
    tokens = [*word_ids.items(items), word_ids.tokenizer.eos_id]
    options = DecodeOptions(max_source=128, max_length=budget, batch_size=3, beam_size=beams)
    programs = Programs(lambda params: Script(jnp.array(tokens), word_ids.tokenizer.vocab_size), make_mesh(1))
    generate = FreeGenerator(programs, task, make_mesh(1), options)
    (output,) = generate(None, [Input(WORDS, None)])
    assert output.tokens == tokens[:-1][:budget]
    assert output.truncated == (len(tokens) > budget)
    found = task.read(WORDS, output)
    assert dict(found.dropped) == ({"truncated": 1} if len(tokens) > budget else {})
    every = [Entity(a, b, name) for name, (a, b) in ITEMS]
    assert list(found.entities) == every[: len(found.entities)]
    # An item is known to be whole once the next one has begun.
    begins = [len(word_ids.items(items[:k])) for k in range(1, len(items))]
    assert len(found.entities) >= sum(b + 2 <= budget for b in begins)
    assert len(found.entities) <= sum(b - 1 <= budget for b in begins) + (budget >= len(tokens) - 1)


@needs_shared
def test_cut_anywhere_no_item_is_shortened(word_ids):
    """Of lists of arbitrary texts, the format's own characters among the words, however they read whole."""
    rng, task, cut_items = random.Random(3), Entities(word_ids, SCHEMA), 0
    for _ in range(150):
        words = fuzz_budget.inputs(rng, task, 1)[0].words
        if not words or len({word_ids.surface(w) for w in words}) < len(set(words)):
            continue  # of words that read alike, which is meant depends on the items after them
        starts = sorted(rng.choices(range(len(words)), k=rng.randrange(1, 5)))
        items = [
            (rng.choice(SCHEMA.names), words[a : min(len(words), a + rng.randrange(1, 4))]) for a in starts
        ]
        tokens = list(word_ids.items(items))
        whole = list(task.read(words, Output(tokens, np.zeros(len(tokens), np.float32))).items)
        for budget in range(len(tokens)):
            output = Output(tokens[:budget], np.zeros(budget, np.float32), truncated=True)
            found = task.read(words, output)
            assert list(found.items) == whole[: len(found.items)], (words, items, budget)
            assert found.dropped["truncated"] == 1
            cut_items += len(found.items) < len(whole)
    assert cut_items > 500


@needs_shared
@pytest.mark.parametrize(
    ("text", "types"),
    [("[dna, cell", ["dna"]), ("[dna, cell_type", ["dna"]), ("[dna", []), ("[", []), ("[dna, rna]", ["dna", "rna"])],
)  # fmt: skip
def test_of_a_cut_list_of_types_the_last_may_be_another(word_ids, text, types):
    ids = list(word_ids.words(text.split()))
    output = Output(ids, np.zeros(len(ids), np.float32), truncated=True)
    found = TypeRecognition(word_ids, SCHEMA).read((), output)
    assert list(found.types) == types
    assert dict(found.dropped) == {"truncated": 1}


# Windows that are read again in halves.


@settings(max_examples=300, deadline=None)
@given(
    start=st.integers(0, 20),
    cut=st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)).map(sorted),
    overlap=st.integers(0, 20),
)
def test_halves_share_out_the_core(start, cut, overlap):
    window = Window(3, start, start + cut[2] + 1, start + cut[0], start + cut[1] + 1)
    found = halves(window, overlap)
    if window.end - window.start == 1:
        assert found == []
        return
    assert [i for h in found for i in range(h.core_start, h.core_end)] == list(
        range(window.core_start, window.core_end)
    )
    for half in found:
        assert half.sentence == 3
        assert window.start <= half.start <= half.core_start < half.core_end <= half.end <= window.end
        assert half.end - half.start < window.end - window.start
    for a, b in pairwise(found):
        shared = a.end - b.start
        assert shared == min(overlap, (window.end - window.start) // 3)
        assert 2 * shared <= min(a.end - a.start, b.end - b.start)


@needs_shared
@pytest.mark.parametrize("overlap", [0, 6])
def test_a_window_that_is_too_much_is_found_whole_in_halves(word_ids, overlap):
    found, reads = recognize(word_ids, 60, overlap, halve=True)
    assert [e.start for e in found.entities] == list(range(0, 40, 2))
    assert all(e.end == e.start + 1 for e in found.entities)
    assert not found.dropped
    assert [len(r) for r in reads[:2]] == [1, 2]
    assert all(i.matched == ("dna",) for read in reads for i in read)
    assert found.output.count("\n") > 2


@needs_shared
def test_a_users_limit_is_kept(word_ids):
    found, reads = recognize(word_ids, 60, 6, halve=False)
    count = len(found.entities)
    assert 0 < count < 20
    assert [e.start for e in found.entities] == list(range(0, 2 * count, 2))
    assert dict(found.dropped) == {"truncated": 1}
    assert [len(r) for r in reads] == [1]


@needs_shared
def test_what_no_half_has_room_for_is_counted_for_each_piece(word_ids):
    found, reads = recognize(word_ids, 5, 0, halve=True)
    assert found.entities == ()
    assert dict(found.dropped) == {"truncated": 20}  # 20 of the 40 words are entities
    assert max(len(i.words) for i in reads[-1]) == 1


def recognize(word_ids, budget: int, overlap: int, *, halve: bool):
    """What is found in 40 words, of which every other one is an entity, and the inputs of each call of a generator that
    finds them all, as far as there is room."""
    task = Entities(word_ids, SCHEMA)
    words = ["Gene" if i % 2 == 0 else "of" for i in range(40)]
    reads: list[list[Input]] = []

    def generate(params, inputs, calibration_temperature):
        reads.append(list(inputs))
        return [write(i) for i in inputs]

    def write(given: Input) -> Output:
        at = [i for i, w in enumerate(given.words) if w == "Gene"]
        tokens = list(word_ids.items([("dna", ("Gene",))] * len(at)))
        fit = sum(len(word_ids.items([("dna", ("Gene",))] * (k + 1))) <= budget for k in range(len(at)))
        cut = fit < len(at)
        spans = tuple(WrittenSpan(i, i + 1, "dna", 1.0, 1.0) for i in at[:fit])
        tokens = tokens[:budget] if cut else tokens
        return Output(tokens, np.zeros(len(tokens), np.float32), spans, truncated=cut)

    options = DecodeOptions(max_source=256, max_length=budget, window_overlap=overlap, halve=halve)
    sentence = make_sentence("s", words, (), SCHEMA)
    (found,) = Recognizer(task, generate, options)(None, [sentence], [("dna",)])
    return found, reads


@pytest.mark.parametrize(
    ("max_length", "expected"), [(0, (96, True)), (95, (95, False)), (96, (96, True)), (200, (200, True))]
)
def test_only_the_models_own_limit_has_windows_halved(max_length, expected):
    config = base()
    config.text.max_target = 96
    config.decode.max_length = max_length
    options = decode_options(config)
    assert (options.max_length, options.halve) == expected


@pytest.mark.slow
@needs_shared
def test_texts_that_truncate_are_whole_in_halves(word_ids):
    """Of random weights: what the halves write is well formed, and nothing of it is lost."""
    task = Entities(word_ids, SCHEMA)
    rng = random.Random(5)
    words = ["IL-2", "gene", "of", "the", "human", "NF-kappa"]
    sentences = [make_sentence(str(i), rng.choices(words, k=14), (), SCHEMA) for i in range(40)]
    found = {}
    for halve in (False, True):
        generate, options = fuzz_budget.generator(task, max_length=24, halve=halve)
        found[halve] = Recognizer(task, generate, options)(fuzz_budget.weights(8), sentences, None)
    cut = [i for i, r in enumerate(found[False]) if r.dropped["truncated"]]
    assert len(cut) > 3
    whole = [i for i in cut if not found[True][i].dropped]
    assert len(whole) > len(cut) / 2
    for i, (before, after) in enumerate(zip(found[False], found[True], strict=True)):
        if i not in cut:
            assert before.entities == after.entities
    for i in whole:
        assert not fuzz_grammar.faults(sentences[i], found[True][i], SCHEMA, word_ids)
