"""Checkpoint folders: edited, spoilt, compared, and read by PyTorch."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import oracles
import torch
import transformers
from safetensors.numpy import load_file, save_file

from toner_jax.models.t5.model import shift_right

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_PROBLEMS = ("missing_keys", "unexpected_keys", "mismatched_keys")


def assert_equal(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def edit(file: Path, change) -> None:
    """Rewrites a safetensors file through a function of its tensors, which it may change in place."""
    tensors = load_file(file)
    tensors = change(tensors) or tensors
    save_file(tensors, file, metadata={"format": "pt"})


def edit_json(file: Path, **changes) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def logits_of(reference) -> np.ndarray:
    source, mask, target = oracles.random_batch()
    source, mask, target = (torch.tensor(x, dtype=torch.long) for x in (source, mask, target))
    with torch.no_grad():
        return reference(source, attention_mask=mask, labels=target).logits.numpy()


def our_logits(model, params) -> jax.Array:
    source, mask, target = oracles.random_batch()
    return jax.jit(model.apply)({"params": params}, source, mask, shift_right(target))


def load_cleanly(auto: Any, folder: Path, **options):
    """`from_pretrained`, with no tensor missing or left over."""
    model, info = auto.from_pretrained(folder, output_loading_info=True, **options)
    assert [problem for problem in _PROBLEMS if info[problem]] == []
    return model


def loaded_by_torch(folder: Path):
    return load_cleanly(transformers.T5ForConditionalGeneration, folder, attn_implementation="eager").eval()


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def rename(tensors, old, new):
    tensors[new] = tensors.pop(old)
