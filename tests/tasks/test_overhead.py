"""What stands around a text: the longest prompt there can be."""

from __future__ import annotations

import itertools

import pytest

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.pipeline.corpus import generator_corpus
from toner_jax.schema import EntityType, Schema
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.explanations import Explanations
from toner_jax.tasks.task import Prompt
from toner_jax.tasks.type_recognition import TypeRecognition
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece
from toner_jax.text.train_tokenizers import train_sentencepiece

EOS = 1


class _Spelling:
    """A tokenizer that knows the words of the NER prompt, as one trained on those does, and spells all
    others letter by letter; `glued` lists words that take so many pieces more where no space precedes
    them."""

    pad_id, eos_id, unk_id = 0, EOS, 2
    vocab_size = 100_000
    mark, nothing, letters = 3, 4, 100  # the ids of "▁", of an empty piece, and of U+0000
    known = (
        "List",
        "all",
        "named",
        "entities",
        "of",
        "type",
        "Text:",
        "Entities",
        "may",
        "exist",
        "in",
        "text.",
    )

    def __init__(self, **glued: int):
        self._glued = glued

    def encode(self, strings):
        return [self._pieces(s) for s in strings]

    def _pieces(self, string):
        if string in self.known:
            return (10 + self.known.index(string),)
        letters = [self.letters + ord(c) for c in string]
        return (self.mark, *letters, *[self.nothing] * self._glued.get(string[1:], 0))

    def piece(self, id):
        if id >= self.letters:
            return chr(id - self.letters)
        return {self.mark: "▁", self.nothing: ""}.get(id) if id < 10 else "▁" + self.known[id - 10]


def all_prompts(word_ids: WordIds, schema: Schema) -> list[Prompt]:
    """Every prompt around an empty text: both tasks, and every order of every subset as T′."""
    hints = [h for size in range(len(schema.names) + 1) for h in itertools.permutations(schema.names, size)]
    return [
        *(Entities(word_ids, schema).prompt((), hint) for hint in (*hints, None)),
        TypeRecognition(word_ids, schema).prompt((), None),
    ]


def check(word_ids: WordIds, schema: Schema) -> None:
    longest = max(len(p.ids) for p in all_prompts(word_ids, schema)) + 1  # the end of sequence
    assert Entities(word_ids, schema).overhead() == longest
    assert TypeRecognition(word_ids, schema).overhead() == longest
    explain = len(word_ids.words(["and", "give", "explanations."]))
    assert Explanations(word_ids, schema).overhead() == longest + explain


@pytest.mark.parametrize(
    ("tokenizer", "names"),
    [
        (_Spelling(), ("a", "b", "c")),
        (_Spelling(b=9, c=5), ("a", "b", "c")),  # glued to its bracket, b is the longest to stand first
        (_Spelling(), ("a",)),  # with few types the auxiliary task has the longest prompt
    ],
    ids=["plain", "first", "auxiliary"],
)
def test_the_overhead_is_the_longest_prompts(tokenizer, names):
    check(WordIds(tokenizer), Schema("s", tuple(map(EntityType, names))))


def test_the_overhead_with_trained_pieces(tmp_path):
    train_sentencepiece(tmp_path, generator_corpus(generate(7, {"train": 500})["train"], SCHEMA), 800)
    check(WordIds(load_sentencepiece(tmp_path, "hf")), SCHEMA)
