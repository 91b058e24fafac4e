"""Tokenizers for runs that start from random weights, trained on the training split alone."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from toner_jax.errors import UserError
from toner_jax.schema import Schema, Sentence
from toner_jax.text import prompts
from toner_jax.text.tokenizers import SENTENCEPIECE_FILE, WORDPIECE_FILE

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_sentencepiece(
    folder: str | Path, sentences: Sequence[Sentence], schema: Schema, vocab_size: int
) -> Path:
    """Writes `spiece.model`: pad 0, end 1, unknown 2, as T5's.

    The pieces are learned by byte-pair encoding and scored as a unigram model. SentencePiece's own
    unigram trainer seeds its pieces from substrings that several distinct words share, so on a small
    corpus it splits even the most frequent words; its BPE model, in turn, is no T5 tokenizer.
    """
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb

    stream = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_generator_corpus(sentences, schema),
            model_writer=stream,
            model_type="bpe",
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            character_coverage=0.9998,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(f"tokenizer.generator_vocab_size={vocab_size}: {error}") from error
    bpe = sentencepiece.SentencePieceProcessor(model_proto=stream.getvalue())
    counts: Counter[int] = Counter()
    for line in _generator_corpus(sentences, schema):
        counts.update(bpe.encode(line))
    model = pb.ModelProto.FromString(stream.getvalue())
    model.trainer_spec.model_type = pb.TrainerSpec.UNIGRAM
    total = math.log(sum(counts.values()) + len(model.pieces))
    for i, piece in enumerate(model.pieces):
        if piece.type == pb.ModelProto.SentencePiece.NORMAL:
            piece.score = math.log(counts[i] + 1) - total
    path = Path(folder) / SENTENCEPIECE_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def _generator_corpus(sentences: Iterable[Sentence], schema: Schema) -> Iterator[str]:
    """Texts, and prompts and targets with the frequencies that training will see. The words of an
    entity are not joined to the format, since ids never are."""
    types = ", ".join(schema.names)
    for sentence in sentences:
        yield " ".join(sentence.words)
        yield prompts.ner_prompt(schema.names, (), sentence.types())
        yield f"[{types}]"
        for entity in sentence.entities:
            yield f"({entity.type}, ({entity.type}, a), [("


def train_wordpiece(
    folder: str | Path, sentences: Sequence[Sentence], schema: Schema, vocab_size: int
) -> Path:
    """Writes `vocab.txt`, lower-cased as GTE's."""
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(
        _matcher_corpus(sentences, schema),
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(_SPECIAL),
        show_progress=False,
    )
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    path = Path(folder) / WORDPIECE_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{piece}\n" for piece, _ in pieces), encoding="utf-8")
    return path


def _matcher_corpus(sentences: Iterable[Sentence], schema: Schema) -> Iterator[str]:
    for sentence in sentences:
        yield " ".join(sentence.words)
    for entity_type in schema.types:
        # Twice: a description's words must pass the minimum frequency.
        yield entity_type.text
        yield entity_type.text
