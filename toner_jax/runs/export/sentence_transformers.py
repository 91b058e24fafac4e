"""What the library sentence-transformers reads beside a sentence encoder: mean pooling, then unit length."""

from __future__ import annotations

import json
from pathlib import Path

from toner_jax.common.files import write_atomically

_POOLING = "1_Pooling"
_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": _POOLING, "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def write_modules(folder: Path, dimension: int, max_length: int) -> None:
    """Makes the folder of a BERT one of `SentenceTransformer`, too.

    Args:
      dimension: of its vectors.
      max_length: of texts, in pieces.
    """
    files = {
        "modules.json": _MODULES,
        "sentence_bert_config.json": {"max_seq_length": max_length, "do_lower_case": False},
        f"{_POOLING}/config.json": {"word_embedding_dimension": dimension, "pooling_mode_mean_tokens": True},
        "2_Normalize/config.json": {},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, json.dumps(content, indent=2) + "\n")
