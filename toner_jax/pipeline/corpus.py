"""What the tokenizers of runs from random weights learn from: the training split, as the models will see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toner_jax.atoms import GLUE, join, parts
from toner_jax.schema import Schema, Sentence
from toner_jax.tasks import prompts
from toner_jax.text.train_tokenizers import Corpus


def generator_corpus(sentences: Sequence[Sentence], schema: Schema) -> Corpus:
    """Texts, and prompts and targets with the frequencies that training will see. All ASCII of the texts gets a
    piece: prompts repeat the same characters so often that a capital letter would count as rare."""
    characters = sorted({c for s in sentences for w in s.words for c in w if "!" <= c <= "~"})
    return Corpus(list(_generator_lines(sentences, schema)), "".join(characters))


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


def matcher_corpus(sentences: Sequence[Sentence], schema: Schema) -> Corpus:
    """Texts, and the descriptions of types."""
    return Corpus([*(join(s.words) for s in sentences), *(t.text for t in schema.types)])
