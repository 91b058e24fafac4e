"""Tokenizers for runs that start from random weights, trained on lines of text."""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toner_jax.atoms import GLUE
from toner_jax.common.files import write_atomically
from toner_jax.errors import ParameterError
from toner_jax.text.vocabularies import SENTENCEPIECE_FILE, WORDPIECE_FILE, encodable

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class Corpus:
    """What a tokenizer learns from.

    Attributes:
      lines: each counts as often as it stands here; no piece that the generator's learns crosses a `GLUE`.
      required: characters that get a piece, however rare they are.
    """

    lines: list[str]
    required: str = ""


def train_sentencepiece(folder: str | Path, corpus: Corpus, vocab_size: int) -> Path:
    """Writes `spiece.model`: pad 0, end 1, unknown 2, as T5's.

    The pieces are learned by byte-pair encoding and scored as a unigram model. SentencePiece's own
    unigram trainer seeds its pieces from substrings that several distinct words share, so on a small
    corpus it splits even the most frequent words; its BPE model, in turn, is no T5 tokenizer.
    """
    import sentencepiece

    model = _train_bpe(
        corpus.lines,
        "tokenizer.generator_vocab_size",
        vocab_size,
        character_coverage=0.9998,  # of all characters in the lines
        required_chars=corpus.required,
        pretokenization_delimiter=GLUE,
        pad_id=0,
        eos_id=1,
        unk_id=2,
    )
    model.trainer_spec.ClearField("pretokenization_delimiter")
    bpe = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    counts: Counter[int] = Counter()
    for line in encodable(corpus.lines):
        counts.update(bpe.encode(line.replace(GLUE, "")))
    model.trainer_spec.model_type = model.trainer_spec.UNIGRAM
    total = math.log(sum(counts.values()) + len(model.pieces))
    for i, piece in enumerate(model.pieces):
        if piece.type == piece.NORMAL:
            piece.score = math.log(counts[i] + 1) - total
    path = Path(folder) / SENTENCEPIECE_FILE
    write_atomically(path, model.SerializeToString())
    return path


def train_wordpiece(folder: str | Path, corpus: Corpus, vocab_size: int) -> Path:
    """Writes `vocab.txt`, lower-cased as GTE's: BERT's special pieces, every character seen, and what
    byte-pair encoding learns first, `vocab_size` pieces in all if the characters leave room.

    SentencePiece learns them, from words as BERT normalises and splits them. The tokenizers library has
    a trainer for WordPiece, but it breaks ties by the order of a hash table: no two processes agree.
    """
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    normalize, split = BertNormalizer(lowercase=True).normalize_str, BertPreTokenizer().pre_tokenize_str
    lines = [[word for word, _ in split(normalize(line))] for line in encodable(corpus.lines)]
    characters = sorted({c for words in lines for word in words for c in word})
    # Punctuation and CJK characters always stand alone, so no word goes on with one.
    inner = [c for c in characters if len(split(normalize(c + c))) == 1]
    pieces = dict.fromkeys([*_SPECIAL, *characters, *(f"##{c}" for c in inner)])
    # Room for SentencePiece's own unknown, its space and its characters, which are no news here.
    model = _train_bpe(
        (" ".join(words) for words in lines),
        "tokenizer.matcher_vocab_size",
        vocab_size + len(characters) + 2,
        normalization_rule_name="identity",
        split_by_unicode_script=False,
        split_by_number=False,
        character_coverage=1.0,
        unk_id=0,
        eos_id=-1,
    )
    for piece in model.pieces[1:]:
        learned = piece.piece.removeprefix("▁") if piece.piece.startswith("▁") else f"##{piece.piece}"
        if learned and len(pieces) < vocab_size:
            pieces[learned] = None
    path = Path(folder) / WORDPIECE_FILE
    write_atomically(path, "".join(f"{piece}\n" for piece in pieces))
    return path


def _train_bpe(lines: Iterable[str], key: str, vocab_size: int, **options: Any) -> Any:
    """A SentencePiece model, as its protocol buffer, of pieces in the order learned.

    Raises:
      UserError: it cannot be trained; the message names `key`, which set the size.
    """
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    protobuf: Any = sentencepiece_model_pb2  # generated code that type checkers cannot read
    stream = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(encodable(list(lines))),
            model_writer=stream,
            model_type="bpe",
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            max_sentence_length=2**30,  # longer lines would be skipped without a word
            bos_id=-1,
            num_threads=1,  # more would make the order of ties a matter of luck
            minloglevel=2,
            **options,
        )
    except RuntimeError as error:
        needed = re.search(r"required_chars\. \d+ vs (\d+)", str(error))
        reason = f"the characters and symbols alone are {needed[1]}; take a larger one" if needed else error
        raise ParameterError(key, vocab_size, str(reason)) from error
    return protobuf.ModelProto.FromString(stream.getvalue())
