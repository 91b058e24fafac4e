"""What the tokenizers of runs from random weights learn from: the training split, as the models will see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toner_jax.atoms import GLUE, join, parts
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks import prompts
from toner_jax.tasks.explanations import EXPLANATION, LIST, NO_ENTITY
from toner_jax.text.train_tokenizers import Corpus


def generator_corpus(
    sentences: Sequence[Sentence], schema: Schema, explanations: Sequence[str] | None = None
) -> Corpus:
    """Texts, and prompts and targets with the frequencies that training will see. All ASCII of the texts, and of
    explanations where they are trained with, gets a piece: prompts repeat the same characters so often that a capital
    letter would count as rare."""
    texts = [*(w for s in sentences for w in s.words), *(_exp_lines(schema, explanations))]
    characters = sorted({c for text in texts for c in text if "!" <= c <= "~"})
    lines = [*_generator_lines(sentences, schema), *_exp_lines(schema, explanations)]
    return Corpus(lines, "".join(characters))


def _exp_lines(schema: Schema, explanations: Sequence[str] | None) -> list[str]:
    if explanations is None:
        return []
    asked = prompts.entities(schema.names, None, explain=True).string(()).split("\n")[0]
    return [asked, *(f"{LIST} [] {EXPLANATION} {text}" for text in (NO_ENTITY, *explanations))]


def _generator_lines(sentences: Sequence[Sentence], schema: Schema) -> Iterator[str]:
    """Between two atoms stands `GLUE`, which no piece crosses. The words of an entity are not joined to the format,
    since ids never are."""
    instruction = prompts.occurring_types(schema.names).string(()).split("\n")[0]
    for sentence in sentences:
        yield " ".join("".join(parts(w)) for w in sentence.words).replace(f" {GLUE}", GLUE)
        yield prompts.entities(schema.names, sentence.types()).string(())
        yield instruction
        for entity in sentence.entities:
            yield f"({entity.type}, ({entity.type}, a), [("


def matcher_corpus(
    sentences: Sequence[Sentence], schema: Schema, explanations: Sequence[str] | None = None
) -> Corpus:
    """Texts, and the descriptions of types; explanations are not for its eyes."""
    return Corpus([*(join(s.words) for s in sentences), *(t.text for t in schema.types)])
