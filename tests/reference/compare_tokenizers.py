"""The back ends of the tokenizers on every word of the real data, with the real vocabularies."""

from __future__ import annotations

import functools

from shared_data import SHARED
from transformers import BertTokenizer

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.columns import read_columns
from toner_jax.text.tokenizers import load_sentencepiece, load_wordpiece

REAL_FILES = (
    ("wnut17/wnut17train.conll", "wnut17", (-1,)),
    ("wnut17/emerging.dev.conll", "wnut17", (-1,)),
    ("wnut17/emerging.test.annotated", "wnut17", (-1,)),
    ("jnlpba/Genia4EReval1.iob2", "jnlpba", (-1,)),
    ("jnlpba/devel.tsv", "jnlpba", (-1,)),
    ("genia_nested/genia.dev.iob2", "jnlpba", ()),
    ("genia_nested/genia.test.iob2", "jnlpba", ()),
)


@functools.cache
def real_words() -> list[str]:
    words = set()
    for file, schema, tag_columns in REAL_FILES:
        sentences, _ = read_columns(SHARED / "data" / file, BUILTIN[schema], tag_columns=tag_columns)
        words.update(w for s in sentences for w in s.words)
    return sorted(words)


def t5_differences() -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Word → its ids by TensorFlow Text and by transformers, where they differ."""
    first, second = (
        load_sentencepiece(SHARED / "t5_vocab", b).encode(real_words()) for b in ("tf_text", "hf")
    )
    return {w: (a, b) for w, a, b in zip(real_words(), first, second, strict=True) if a != b}


def bert_differences() -> list[str]:
    """The words whose ids are not those of transformers' own `BertTokenizer`, in either back end."""
    reference = BertTokenizer.from_pretrained(str(SHARED / "bert_vocab"))
    expected = [tuple(row) for row in reference(real_words(), add_special_tokens=False)["input_ids"]]
    ours = [load_wordpiece(SHARED / "bert_vocab", b).encode(real_words()) for b in ("tf_text", "hf")]
    return [w for w, a, b, e in zip(real_words(), *ours, expected, strict=True) if not a == b == e]
