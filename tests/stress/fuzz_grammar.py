"""Texts of every kind through the grammar: nothing may be dropped, whatever the weights.

    python tests/stress/fuzz_grammar.py --model=DIR --texts=10000 --weights=random [--data=FILE …]

Every output must parse with nothing dropped, unless it is too long, every item must find its place, and every span's
text must be the slice of the source. Without `--data`, column files of real text, the texts are made up.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from toner_jax.api import Ner
from toner_jax.data.formats.columns import read_columns
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.recognized import Recognized
from toner_jax.text.align import SourceIndex, align
from toner_jax.text.ids import WordIds
from toner_jax.text.linearize import parse
from toner_jax.text.words import sentence_from_text

# The format's own characters, types, special tokens, what tokenizers respell, join, drop or do not know.
_SHORT = (
    "a Ab Paris U.S. 12.5 IL-2 -- ( ) [ ] , ), )] [( (person, person location ]) </s> <pad> <extra_id_0> ⁇ é ﬁ ½ … ™ "
    "ñ ` { } ~ ^ < \\ ß İ 𝒳 ﷽ 中文 😀 👩\u200d👩\u200d👧 \u200b \ufeff e\u0301 \ue000"
)
_SPACES = ("\u00a0", "\x85", "\u2028", "\t", "\n", "\n\n", " ", "  ")
_PARTS = (*_SHORT.split(" "), *_SPACES, "A" * 30, "x" * 200)


def make_text(rng: random.Random) -> str:
    """A text that nobody would write."""
    kind = rng.random()
    if kind < 0.05:
        return rng.choice(_PARTS)
    if kind < 0.1:
        return "".join(chr(rng.randrange(32, 0x2FFF)) for _ in range(rng.randrange(1, 40)))
    if kind < 0.12:
        return " ".join(rng.choice(_PARTS) for _ in range(rng.randrange(150, 400)))
    return rng.choice(["", " "]).join(rng.choice(_PARTS) for _ in range(rng.randrange(25)))


def random_weights(params: Any, seed: int, scale: float = 3.0) -> Any:
    """Weights of the same shapes, `scale` times the size."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    return tree.unflatten(
        [
            scale * float(leaf.std()) * jax.random.normal(k, leaf.shape, leaf.dtype)
            if leaf.std() > 0
            else leaf
            for k, leaf in zip(keys, leaves, strict=True)
        ]
    )


def random_types(rng: random.Random, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(rng.sample(names, rng.randrange(len(names) + 1)))


def faults(sentence: Sentence, found: Recognized, schema: Schema, word_ids: WordIds) -> list[str]:
    """What is wrong with one sentence's output."""
    wrong = [reason for reason in found.dropped if reason not in ("word_too_long", "truncated")]
    for entity in found.entities:
        start, end = sentence.char_span(entity)
        if sentence.text[start:end] != sentence.span_json(entity)["text"] or start >= end:
            wrong.append(f"span {start}-{end}")
    # The windows of a long text have an output each, and one that is cut has no end; fuzz_budget.py has such.
    if "\n" not in found.output and not found.dropped["truncated"]:
        source = SourceIndex([word_ids.surface(w) for w in sentence.words])
        parsed = parse(found.output, schema.names, source)
        wrong += [*parsed.dropped, *align(parsed.items, source)[1]]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--weights", choices=("trained", "random"), default="trained")
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, ner = random.Random(options.seed), Ner(options.model)
    sentences = [s for path in options.data for s in read_columns(path, None, tag_columns=()).sentences]
    if not options.data:
        sentences = [sentence_from_text(str(i), make_text(rng)) for i in range(options.texts)]
    sentences = sentences[: options.texts]
    params = ner._restored.generator_params
    if options.weights == "random":
        params = random_weights(params, options.seed)
    entities = bad = 0
    for k in range(0, len(sentences), 1000):
        part = sentences[k : k + 1000]
        types = [random_types(rng, ner.schema.names) for _ in part]
        for sentence, found in zip(
            part, ner._recognizers(Entities.name, ner.schema)(params, part, types), strict=True
        ):
            entities += len(found.entities)
            if wrong := faults(sentence, found, ner.schema, ner.word_ids):
                bad += 1
                print(f"{sentence.id}: {wrong}: {sentence.text!r} → {found.output!r}")
    print(f"{options.weights} weights: {len(sentences):,} texts, {entities:,} entities, {bad} with a fault")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
