"""Whatever the text and the weights, what is written under the grammar is used whole."""

from __future__ import annotations

import functools
import itertools
import random
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny
from shared_data import read

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.inference.constrained import GrammarGenerator
from toner_jax.inference.explained import ExplainedGenerator
from toner_jax.inference.options import DecodeOptions, Techniques
from toner_jax.inference.programs import Programs
from toner_jax.inference.recognize import Recognizer
from toner_jax.inference.sources import make_source
from toner_jax.models import registry
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.decoder import T5Decoder
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import make_mesh
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.explanations import Explanations
from toner_jax.tasks.output import Input
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.text.ids import WordIds
from toner_jax.text.linearize import parse
from toner_jax.text.tokenizers import load_sentencepiece
from toner_jax.text.words import sentence_from_text

sys.path.insert(0, str(tiny.ROOT / "tests" / "stress"))
import fuzz_grammar

SCHEMA = BUILTIN["jnlpba"]
OPTIONS = DecodeOptions(max_source=128, max_length=96, batch_size=4)
CONFIG = T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_decoder_layers=1, num_heads=2)


@pytest.fixture(scope="module")
def task(shared):
    return Entities(WordIds(load_sentencepiece(shared / "t5_vocab", "hf")), SCHEMA)


@pytest.fixture(scope="module")
def params():
    return registry.initializer(model())(jax.random.key(0))


@pytest.fixture(scope="module")
def seeds(own, shared):
    """Of weights that write much: with our own vocabulary some others do."""
    return {3: 4, 7: 14, 8: 8} if shared == own else {3: 3, 7: 7, 8: 8}


def model() -> ToNER:
    return ToNER(CONFIG, num_types=len(SCHEMA.types))


def generator(task, tokens_per_pass=0, flat=False, limit=0, **techniques) -> GrammarGenerator:
    options = replace(OPTIONS, tokens_per_pass=tokens_per_pass, flat=flat)
    programs = Programs(functools.partial(T5Decoder, model()), make_mesh(1))
    return GrammarGenerator(
        programs, task, make_mesh(1), options, techniques=Techniques(**techniques), limit=limit
    )


def check(sentences, params, task, seed: int) -> int:
    rng = random.Random(seed)
    types = [fuzz_grammar.random_types(rng, SCHEMA.names) for _ in sentences]
    found = Recognizer(task, generator(task), OPTIONS)(params, sentences, types)
    for sentence, result in zip(sentences, found, strict=True):
        assert not fuzz_grammar.faults(sentence, result, SCHEMA, task.word_ids), sentence.text
    return sum(len(r.entities) for r in found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 8])
def test_made_up_texts(task, params, seeds, seed):
    rng = random.Random(seed)
    sentences = [sentence_from_text(str(i), fuzz_grammar.make_text(rng)) for i in range(80)]
    assert check(sentences, fuzz_grammar.random_weights(params, seeds[seed]), task, seed) > 40


@pytest.mark.slow
def test_annotated_texts(task, params, seeds, own, shared):
    file = "genia_nested/genia.dev.iob2" if shared == own else "jnlpba/Genia4EReval1.iob2"
    sentences = read(shared, file).sentences[:80]
    assert check(sentences, fuzz_grammar.random_weights(params, seeds[7]), task, 7) > 15


@pytest.mark.slow
def test_one_at_a_time_and_together_are_the_same(task, params, seeds):
    """Other batches, tokens per pass and rooms: the same output, in the order of the inputs."""
    texts = [
        "IL-2 gene expression",
        "",
        "NF-kappa B and NF-kappa B",
        "of the",
        "x" * 40,
        "the human T cell line",
    ]
    inputs = [Input(tuple(t.split()), ("dna",) if i % 2 else ()) for i, t in enumerate(texts)]
    weights = fuzz_grammar.random_weights(params, seeds[7])
    together = generator(task)(weights, inputs)
    assert len({tuple(o.tokens) for o in together}) > 3
    one = generator(task, tokens_per_pass=1)
    for output, alone in zip(together, [one(weights, [i])[0] for i in inputs], strict=True):
        assert output.tokens == alone.tokens
        np.testing.assert_allclose(output.scores, alone.scores, atol=1e-4)
        assert [(s.start, s.end, s.type) for s in output.spans] == [
            (s.start, s.end, s.type) for s in alone.spans
        ]
        assert all(0 < s.type_score <= 1 and 0 < s.span_score <= 1 for s in output.spans)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
def test_queues_in_threads_change_nothing(task, params, seeds, threads):
    rng = random.Random(1)
    words = ["IL-2", "gene", "of", "the", "human", "NF-kappa"]
    inputs = [Input(tuple(rng.choices(words, k=rng.randrange(9))), ()) for _ in range(70)]
    weights = fuzz_grammar.random_weights(params, seeds[7])
    generate = generator(task, threads=threads)
    outputs = generate(weights, inputs)
    alone = generator(task, requests_per_row=1, tokens_per_pass=1, threads=1)(weights, inputs)
    assert [o.tokens for o in outputs] == [o.tokens for o in alone]
    assert generate.work.passes > 0


@pytest.mark.slow
def test_a_limit_below_the_room_holds(task, params, seeds):
    weights = fuzz_grammar.random_weights(params, seeds[7])
    inputs = [Input(("IL-2", "gene", "expression", "of", "the", "IL-2", "gene"), ("dna",)), Input((), ())]
    free, limited = generator(task)(weights, inputs), generator(task, limit=12)(weights, inputs)
    assert len(free[0].tokens) > 12 == len(limited[0].tokens)
    assert limited[0].tokens == free[0].tokens[:12]
    assert [o.truncated for o in limited] == [True, False]
    assert limited[1].tokens == free[1].tokens


@pytest.mark.slow
def test_weights_that_are_no_numbers_still_write_what_parses(task, params):
    broken = jax.tree.map(lambda leaf: leaf * np.nan, params)
    inputs = [Input(("IL-2", "gene"), ()), Input((), ())]
    for output in generator(task)(broken, inputs):
        text = task.word_ids.decode(output.tokens)
        assert not parse(text, SCHEMA.names).dropped
        assert text.startswith("[")
        assert text.endswith("]")


def spans_of(output) -> list[tuple[int, int]]:
    return [(s.start, s.end) for s in output.spans]


def overlapping(spans) -> bool:
    """Whether any two of some spans, in any order, have a word in common."""
    return any(a < d and c < b for (a, b), (c, d) in itertools.combinations(spans, 2))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 8])
def test_flat_spans_do_not_overlap(task, params, seeds, seed):
    """`flat` as an example of a constraint. It stands in four files: the description (tasks/grammar.py), the automaton
    (decoding/entity_list.py), the option (inference/options.py) and the key of the configuration (config.py)."""
    rng = random.Random(seed)
    weights = fuzz_grammar.random_weights(params, seeds[seed])
    words = ["IL-2", "gene", "of", "the", "human", "NF-kappa"]
    inputs = [Input(tuple(rng.choices(words, k=rng.randrange(1, 12))), ("dna",)) for _ in range(60)]
    free, flat = (generator(task, flat=flat)(weights, inputs) for flat in (False, True))
    assert any(overlapping(spans_of(o)) for o in free)  # else nothing is tried
    assert sum(len(o.spans) for o in flat) > 20
    for given, output in zip(inputs, flat, strict=True):
        assert not overlapping(spans_of(output))
        parsed = parse(task.word_ids.decode(output.tokens), SCHEMA.names)
        assert not parsed.dropped
        assert [i for _, i in parsed.items] == [" ".join(given.words[a:b]) for a, b in spans_of(output)]
        assert all(0 < s.type_score <= 1 and 0 < s.span_score <= 1 for s in output.spans)
    one = generator(task, flat=True, tokens_per_pass=1, requests_per_row=1)(weights, inputs)
    assert [o.tokens for o in one] == [o.tokens for o in flat]


@pytest.mark.slow
def test_types_are_recognized(task, params, seeds):
    """Of any weights, types of the schema in its order; what a long text names is what its windows do."""
    weights = fuzz_grammar.random_weights(params, seeds[3], 6.0)
    rng = random.Random(2)
    words = ["IL-2", "gene", "of", "the", "human", "NF-kappa"]
    sentences = [
        sentence_from_text(str(i), " ".join(rng.choices(words, k=n))) for i, n in enumerate((0, 1, 5, 9, 200))
    ]
    task = TypeRecognition(task.word_ids, SCHEMA)
    generate = generator(task)
    found = [r.types for r in Recognizer(task, generate, OPTIONS)(weights, sentences, None)]
    outputs = generate(weights, [Input(s.words, None) for s in sentences[:4]])
    for given, names, output in zip(sentences[:4], found[:4], outputs, strict=True):
        written = task.word_ids.decode(output.tokens) if given.words else "[]"  # which is not asked about
        assert written == f"[{', '.join(names)}]"
        assert list(names) == [name for name in SCHEMA.names if name in names]
        assert all(0 < p <= 1.00001 for p in names.values())
    assert len({tuple(names) for names in found}) > 1
    assert any(len(names) > 1 for names in found)


@pytest.mark.slow
def test_an_explanation_follows_the_list(task, params, seeds):
    """The list is of the grammar; what follows is what greedy search writes after it."""
    weights = fuzz_grammar.random_weights(params, seeds[7])
    texts = [("IL-2", "gene", "expression"), (), ("NF-kappa", "B", "and", "NF-kappa", "B"), ("of",)]
    inputs = [Input(words, ("dna",)) for words in texts]
    task, options = Explanations(task.word_ids, SCHEMA), replace(OPTIONS, max_length=48)
    explain = ExplainedGenerator(
        Programs(functools.partial(T5Decoder, model()), make_mesh(1)), task, make_mesh(1), options
    )
    outputs = explain(weights, inputs)
    together = Recognizer(task, explain, options)(
        weights, [sentence_from_text(str(i), " ".join(w)) for i, w in enumerate(texts)], [("dna",)] * 4
    )
    assert len({tuple(o.tokens) for o in outputs}) > 2
    for given, output, found in zip(inputs, outputs, together, strict=True):
        text = task.word_ids.decode(output.tokens)
        written = text[len("Entity: ") : text.index(" Explanation:")]
        assert text.startswith("Entity: [")
        assert not parse(written, SCHEMA.names).dropped
        assert len(parse(written, SCHEMA.names).items) == len(output.spans) == len(found.entities)
        assert found.output == (text if given.words else "")  # an empty text is not asked about
        assert text.endswith(found.explanation)
        # Word by word as the whole decoder scores it, all at once.
        source = make_source(task, given).ids[None]
        begun = len(output.tokens) - output.explanation
        target = np.array([0, *output.tokens])[None]
        mask = (source > 0).astype(np.float32)
        logits = np.asarray(model().apply({"params": weights}, source, mask, target, mask)[0])[0]
        best = logits.argmax(-1)[begun:]
        assert output.explanation > 0
        agree = best[: output.explanation] == output.tokens[begun:]
        near = np.diff(np.sort(logits, axis=-1)[begun:, -2:], axis=-1)[: output.explanation, 0] < 1e-3
        assert (agree | near).all()


@pytest.mark.slow
def test_few_shapes_are_compiled(task, params):
    generate = generator(task)
    rng = random.Random(0)
    words = ["IL-2", "gene", "of", "the", "human", "NF-kappa"]
    for count in (5, 9, 40, 17, 33):
        inputs = [Input(tuple(rng.choices(words, k=rng.randrange(25))), ()) for _ in range(count)]
        assert len(generate(params, inputs)) == count
    assert all(1 <= len(program) <= 8 for program in generate._programs._programs.values())
