"""`decode.flat`, from the generator to merged windows: no two spans of a sentence overlap."""

from __future__ import annotations

import itertools
import random
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.recognize import Recognizer
from toner_jax.models import registry
from toner_jax.models.t5.config import T5Config
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs.recognizers import make_programs, make_recognizer
from toner_jax.schema import Entity, make_sentence
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.output import Output, WrittenSpan
from toner_jax.tasks.recognized import Score
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece

sys.path.insert(0, str(tiny.ROOT / "tests" / "stress"))
import fuzz_grammar

SCHEMA = BUILTIN["jnlpba"]
CONFIG = T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_decoder_layers=1, num_heads=2)
WORDS = ["IL-2", "gene", "of", "IL-2", "human", "NF-kappa", "gene"]


@pytest.fixture(scope="module")
def task(shared):
    return Entities(WordIds(load_sentencepiece(shared / "t5_vocab", "hf")), SCHEMA)


def overlapping(entities) -> bool:
    return any(a.start < b.end and b.start < a.end for a, b in itertools.combinations(entities, 2))


@pytest.mark.slow
def test_recognized_entities_do_not_overlap(task):
    """Strings that occur more than once are placed by `align`, long sentences are merged from windows."""
    rng = random.Random(8)
    model = ToNER(CONFIG, num_types=len(SCHEMA.types))
    params = fuzz_grammar.random_weights(registry.initializer(model)(jax.random.key(0)), 8)
    sentences = [
        make_sentence(str(i), rng.choices(WORDS, k=rng.choice((3, 9, 40))), (), SCHEMA) for i in range(40)
    ]
    options = DecodeOptions(max_source=task.overhead() + 40, max_length=96, batch_size=8, window_overlap=6)
    matched = [("dna",)] * len(sentences)
    programs = make_programs(model, make_mesh(1))
    free, flat = (
        make_recognizer(task, programs, make_mesh(1), replace(options, flat=flat))(params, sentences, matched)
        for flat in (False, True)
    )
    assert any(overlapping(r.entities) for r in free)  # else nothing is tried
    assert sum(len(r.entities) for r in flat) > 40
    assert any("\n" in r.output for r in flat)  # windows
    assert not any(overlapping(r.entities) for r in flat)


def test_at_a_border_of_windows_the_likelier_stays(task):
    """Words 0–5 and 3–7 are read together: of the first the generator finds 2–5, of the second 5 and 6."""
    sentence = make_sentence("s", list("ABCDEFGH"), (), SCHEMA)
    written = iter([WrittenSpan(2, 6, "dna", 0.5, 1.0), WrittenSpan(2, 4, "dna", 0.9, 1.0)])

    def generate(params, inputs, calibration_temperature):
        return [Output([], np.zeros(0, np.float32), (next(written),)) for _ in inputs]

    options = DecodeOptions(max_source=task.overhead() + 6, window_overlap=4, flat=True)
    (found,) = Recognizer(task, generate, options)(None, [sentence], None)
    assert found.entities == (Entity(5, 7, "dna"),)
    assert found.scores[0].type == 0.9
    assert found.dropped["overlap"] == 1


def test_entities_that_may_stand_together():
    scores = {Entity(0, 3, "a"): 0.2, Entity(2, 4, "b"): 0.5, Entity(4, 6, "a"): 0.1, Entity(2, 3, "a"): 0.5}
    given = {entity: Score(value, 1.0) for entity, value in scores.items()}
    assert DecodeOptions().compatible(given) == given
    kept = DecodeOptions(flat=True).compatible(given)
    assert set(kept) == {Entity(2, 4, "b"), Entity(4, 6, "a")}
