"""From sentences to ids: what one training sample or one inference input is to a model.

Nothing is truncated here. A training sentence whose source or target passes the limit is split into
sentences at word boundaries that cut no entity; inference splits its texts in `toner_jax.inference.windows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema, Sentence
from toner_jax.text import prompts
from toner_jax.text.ids import MOST_WORDS, Ids, WordIds
from toner_jax.text.tokenizers import WordPieceTokenizer

NER, TYPE_RECOGNITION, EXPLAINED = "ner", "tr", "exp"


@dataclass(frozen=True)
class Example:
    """One training sample of the generator.

    Attributes:
      source: prompt ids, end of sequence included.
      text_range: where the text's own ids stand in `source`.
      target: target ids, end of sequence included.
      present: bool [K], which types occur in the text.
    """

    source: np.ndarray
    text_range: tuple[int, int]
    target: np.ndarray
    present: np.ndarray


class GeneratorFeatures:
    """Makes the generator's examples for one schema and tokenizer."""

    def __init__(self, word_ids: WordIds, schema: Schema, max_source: int = 512, max_target: int = 512):
        self.word_ids = word_ids
        self.schema = schema
        self.max_source = max_source
        self.max_target = max_target
        self._eos = (word_ids.tokenizer.eos_id,)

    def prepare(self, sentences: Iterable[Sentence]) -> None:
        """Tokenizes the words of many sentences in one call; only ever a matter of speed."""
        self.word_ids.prepare(w for s in sentences for w in s.words)

    def ner(self, sentence: Sentence, matched: Sequence[str] | None) -> Example:
        """The NER task (§3.1, §3.2); `matched` is T′ by descending similarity, None without matching."""
        prompt = prompts.ner_prompt_ids(self.word_ids, self.schema.names, sentence.words, matched)
        return self._example(prompt, self.ner_target(sentence), sentence)

    def type_recognition(self, sentence: Sentence) -> Example:
        """The auxiliary task (§3.4); its target lists the types in schema order."""
        prompt = prompts.type_recognition_prompt_ids(self.word_ids, self.schema.names, sentence.words)
        occurring = set(sentence.types())
        target = self.word_ids.type_list([n for n in self.schema.names if n in occurring])
        return self._example(prompt, target, sentence)

    def source(self, words: Sequence[str], matched: Sequence[str] | None, task: str = NER) -> np.ndarray:
        """int32 prompt ids of an input, end of sequence included. The type-recognition task has no T′."""
        if task == TYPE_RECOGNITION:
            prompt = prompts.type_recognition_prompt_ids(self.word_ids, self.schema.names, words)
        else:
            explain = task == EXPLAINED
            prompt = prompts.ner_prompt_ids(self.word_ids, self.schema.names, words, matched, explain)
        return np.array(prompt.ids + self._eos, np.int32)

    def ner_target(self, sentence: Sentence) -> Ids:
        """Target ids of the NER task, without the end of sequence."""
        items = [(e.type, sentence.words[e.start : e.end]) for e in sentence.entities]
        return self.word_ids.items(items)

    def source_overhead(self, task: str = NER) -> int:
        """Pieces of the longest prompt around a text, with any T′ in any order: of NER and type recognition, or
        of the explained task."""
        explain = self.word_ids.phrase(prompts.EXPLAIN) if task == EXPLAINED else ()
        return self._overhead + len(explain)

    @cached_property
    def _overhead(self) -> int:
        # The first type of a list stands glued to its bracket, where it may have more pieces.
        names = self.schema.names
        orders = [(first, *(n for n in names if n != first)) for first in names]
        sources = [self.source((), matched) for matched in orders]
        return max(map(len, (*sources, self.source((), None, TYPE_RECOGNITION))))

    def fits(self, sentence: Sentence) -> bool:
        """Whether source (with any T′) and target are within the limits."""
        source = self.source_overhead() + len(self.word_ids.words(sentence.words))
        return source <= self.max_source and len(self.ner_target(sentence)) + 1 <= self.max_target

    def split(self, sentence: Sentence) -> list[Sentence]:
        """The sentence, or the fewest halves of halves of it that fit.

        Raises:
          UserError: a part that cannot be cut without cutting an entity does not fit.
        """
        if self.fits(sentence):
            return [sentence]
        cut = _middle_cut(sentence)
        if cut is None:
            raise UserError(
                f"sentence {sentence.id}: {len(sentence.words)} words that cannot be cut without cutting a word or "
                f"an entity pass text.max_source={self.max_source} or text.max_target={self.max_target}; "
                "raise the limits"
            )
        return [p for part in (_part(sentence, 0, cut), _part(sentence, cut, None)) for p in self.split(part)]

    def _example(self, prompt: prompts.PromptIds, target: Ids, sentence: Sentence) -> Example:
        return Example(
            source=np.array(prompt.ids + self._eos, np.int32),
            text_range=(prompt.text_start, prompt.text_end),
            target=np.array(target + self._eos, np.int32),
            present=present_types([sentence], self.schema)[0],
        )


def present_types(sentences: Sequence[Sentence], schema: Schema) -> np.ndarray:
    """bool [N, K], the indicator of P_x: which types occur in each sentence."""
    rows = np.zeros((len(sentences), len(schema.types)), bool)
    for i, s in enumerate(sentences):
        rows[i, [schema.index[e.type] for e in s.entities]] = True
    return rows


def _middle_cut(sentence: Sentence) -> int | None:
    """The word boundary nearest the middle that lies inside no entity."""
    n = len(sentence.words)
    inside = {i for e in sentence.entities for i in range(e.start + 1, e.end)}
    free = [i for i in range(1, n) if i not in inside]
    return min(free, key=lambda i: abs(2 * i - n)) if free else None


def _part(sentence: Sentence, start: int, end: int | None) -> Sentence:
    end = len(sentence.words) if end is None else end
    return replace(
        sentence,
        id=f"{sentence.id}[{start}:{end}]",
        words=sentence.words[start:end],
        offsets=sentence.offsets[start:end],
        entities=tuple(
            Entity(e.start - start, e.end - start, e.type)
            for e in sentence.entities
            if start <= e.start and e.end <= end
        ),
    )


class MatcherFeatures:
    """Makes the type matching model's inputs: `[CLS] text [SEP]`, made word by word."""

    def __init__(self, tokenizer: WordPieceTokenizer, max_length: int = 512):
        self._tokenizer = tokenizer
        self._words: dict[str, Ids] = {}
        self.max_length = max_length
        self.shortened = 0  # inputs so far that were longer than the model's positions

    def encode(self, words: Sequence[str]) -> np.ndarray:
        """int32 ids. Pieces past `max_length` are left out, and counted, in the matcher's view alone: T′ is
        a hint about the whole sentence, of which the generator still reads every word."""
        self.prepare(words)
        ids = [i for w in words for i in self._words[w]]
        room = self.max_length - 2
        self.shortened += len(ids) > room
        return np.array([self._tokenizer.cls_id, *ids[:room], self._tokenizer.sep_id], np.int32)

    def prepare(self, words: Iterable[str]) -> None:
        """Tokenizes all words not yet known in one call; as `WordIds` it remembers only so many."""
        asked = dict.fromkeys(words)
        new = [w for w in asked if w not in self._words]
        if len(self._words) + len(new) > MOST_WORDS:
            self._words = {w: self._words[w] for w in asked if w in self._words}
        self._words.update(zip(new, self._tokenizer.encode(new), strict=True))

    def descriptions(self, schema: Schema) -> list[np.ndarray]:
        """D_t of every type, in schema order."""
        return [self.encode(t.text.split(" ")) for t in schema.types]
