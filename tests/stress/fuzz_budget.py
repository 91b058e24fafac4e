"""Texts of every kind under small budgets: what is written is the beginning of what would be without one.

    python tests/stress/fuzz_budget.py --vocabulary=FOLDER --texts=10000

A small T5 of random weights writes every text's output with room for 96 tokens, and with 4, 8, 16 and 64. Its
items must be the first ones, with the same scores, bit by bit; truncation must be counted exactly where tokens are
missing; and every span must be a slice of the text. `FOLDER` holds a `spiece.model`.
"""

from __future__ import annotations

import argparse
import functools
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from unittest import mock

import fuzz_grammar
import jax

from toner_jax.atoms import join
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.inference import request_groups
from toner_jax.inference.constrained import GrammarGenerator
from toner_jax.inference.options import DecodeOptions, Techniques
from toner_jax.inference.programs import Programs
from toner_jax.models import registry
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.decoder import T5Decoder
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import make_mesh
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.output import Input, Output
from toner_jax.tasks.task import Task
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece
from toner_jax.text.words import sentence_from_text

SCHEMA = BUILTIN["jnlpba"]
CONFIG = T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_decoder_layers=1, num_heads=2)
MODEL = ToNER(CONFIG, num_types=len(SCHEMA.types))
OPTIONS = DecodeOptions(max_source=128, max_length=96, batch_size=32, tokens_per_pass=4)
BUDGETS = 4, 8, 16, 64


@functools.cache
def weights(seed: int):
    return fuzz_grammar.random_weights(registry.initializer(MODEL)(jax.random.key(0)), seed)


def inputs(rng: random.Random, task: Task, count: int, room: int = 0) -> list[Input]:
    """Texts of at most `room` pieces (0: as many as fit), as the generator gets them."""
    room = room or OPTIONS.max_source - task.overhead()
    found: list[Input] = []
    while len(found) < count:
        words = sentence_from_text("", fuzz_grammar.make_text(rng)).words
        while sum(len(task.word_ids.word(w)) for w in words) > room:
            words = words[: len(words) // 2]
        found.append(Input(words, fuzz_grammar.random_types(rng, SCHEMA.names)))
    return found


def generator(task: Task, **options) -> tuple[GrammarGenerator, DecodeOptions]:
    """A generator, with options other than `OPTIONS`, and all its options."""
    own = replace(OPTIONS, **options)
    # With continuous batching a row's keys stand in the cache where those of others have left room: scores differ by
    # rounding.
    alone = Techniques(requests_per_row=1)
    programs = Programs(functools.partial(T5Decoder, MODEL), make_mesh(1))
    return GrammarGenerator(programs, task, make_mesh(1), own, techniques=alone), own


def written(
    task: Task, given: Sequence[Input], seed: int, budgets: Sequence[int] = BUDGETS, **options
) -> Iterator[tuple[int, list[Output]]]:
    """(budget, outputs), the first with all the room there is. All are written by the same compiled programs, of which
    the budget is an argument, and with KV caches of the same shape: else scores differ by rounding, too."""
    generate, whole = generator(task, **options)
    for budget in (whole.max_length, *budgets):
        generate._limit = budget
        with mock.patch.object(request_groups, "_PASSES", whole.max_length):  # none is decoded again
            outputs = generate(weights(seed), given)
        yield budget, outputs


def whole_items(task: Task, given: Input, whole: Output, budget: int) -> int:
    """How many items of an output are whole within its first tokens: those after which there is the first token of the
    symbol that ends them."""
    symbols, ids = task.word_ids.symbols, task.word_ids
    if isinstance(task, TypeRecognition):
        names = [s.type for s in whole.spans]
        lists = [ids.type_list(names[: k + 1]) for k in range(len(names))]
        closing = len(symbols.close)
    else:
        items = [(s.type, given.words[s.start : s.end]) for s in whole.spans]
        lists = [ids.items(items[: k + 1]) for k in range(len(items))]
        closing = len(symbols.last_end + symbols.close)
    return sum(len(tokens) - closing + 1 <= budget for tokens in lists)


def faults(task: Task, given: Input, whole: Output, cut: Output, budget: int) -> list[str]:
    """What is wrong with an output under a budget, beside the one with all the room there is."""
    wrong = []
    too_long = whole.truncated or len(whole.tokens) + 1 > budget
    if cut.truncated != too_long:
        wrong.append("not said to be truncated" if too_long else "said to be truncated")
    if cut.tokens != whole.tokens[: budget if too_long else None]:
        wrong.append("other tokens")
    spans = whole.spans[: whole_items(task, given, whole, budget)]
    if cut.spans != spans:
        wrong.append(f"items {cut.spans} instead of {spans}")
    found = task.read(given.words, cut)
    if dict(found.dropped) != ({"truncated": 1} if too_long else {}):
        wrong.append(f"dropped {dict(found.dropped)}")
    if isinstance(task, TypeRecognition):
        if list(found.types) != [s.type for s in spans]:
            wrong.append(f"types {found.types}")
    else:
        # Words that the vocabulary cannot tell apart read alike.
        surface = [task.word_ids.surface(w) for w in given.words]
        strings = sorted((e.type, join(surface[e.start : e.end])) for e in found.entities)
        meant = sorted((s.type, join(surface[s.start : s.end])) for s in spans)
        if strings != meant:
            wrong.append(f"entities {strings} instead of {meant}")
    return wrong


def moved(task: Task, given: Input, whole: Output, cut: Output) -> int:
    """How many entities stand at another occurrence of their string than in the whole output: which one is meant
    depends on the items after it."""
    return len(set(task.read(given.words, cut).entities) - set(task.read(given.words, whole).entities))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    word_ids = WordIds(load_sentencepiece(options.vocabulary, "hf"))
    bad = 0
    for task in (Entities(word_ids, SCHEMA), TypeRecognition(word_ids, SCHEMA)):
        given = inputs(random.Random(options.seed), task, options.texts)
        runs = written(task, given, options.seed)
        _, whole = next(runs)
        for budget, outputs in runs:
            wrong = elsewhere = 0
            for one, full, cut in zip(given, whole, outputs, strict=True):
                elsewhere += moved(task, one, full, cut)
                if problems := faults(task, one, full, cut, budget):
                    wrong += 1
                    print(f"{budget}: {problems}: {one}")
            truncated, items = sum(o.truncated for o in outputs), sum(len(o.spans) for o in outputs)
            print(
                f"{task.name}, {budget} tokens: {len(given):,} texts, {truncated:,} truncated, {items:,} whole items "
                f"of {sum(len(o.spans) for o in whole):,}, {elsewhere} at another occurrence, {wrong} with a fault",
                flush=True,
            )
            bad += wrong
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
