"""The models of a configuration by their sizes: neither a checkpoint nor data are needed to plan with them."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from toner_jax.common.files import expanded
from toner_jax.data.corpora.schemas import get_schema
from toner_jax.errors import ParameterError, UserError
from toner_jax.models import registry
from toner_jax.models.architecture import Kind
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.t5.config import T5Config
from toner_jax.runs import setup
from toner_jax.runs.export import pretrained
from toner_jax.schema import EntityType, Schema

_MT5_VOCABULARY = 250_112
_DEPTHS = (
    "num_layers",
    "num_decoder_layers",
    "num_hidden_layers",
)  # the fields of a config that count layers


def _published() -> dict[str, Any]:
    """Sizes as published, by the names of the Hugging Face hub."""
    found: dict[str, Any] = {}
    for size in ("small", "base", "large", "xl", "xxl"):
        t5 = T5Config.flan(size)
        found |= {f"google/flan-t5-{size}": t5, f"google/t5-v1_1-{size}": t5}
        found[f"google/mt5-{size}"] = replace(t5, vocab_size=_MT5_VOCABULARY)
    return found | {f"thenlper/gte-{size}": BertConfig.gte(size) for size in ("small", "base", "large")}


def model_config(config: ConfigDict, kind: Kind) -> Any:
    """The sizes of a configuration's model.

    Raises:
      UserError: its checkpoint is neither a folder nor a model whose sizes are known here.
    """
    section, checkpoint = config[kind], config[kind].checkpoint
    if not checkpoint:
        vocabulary = config.tokenizer[f"{kind}_vocab_size"]
        return registry.SCRATCH[kind].scratch(vocab_size=vocabulary, **section.model.to_dict())
    published = _published()
    if checkpoint in published:
        return published[checkpoint]
    if expanded(checkpoint).is_dir():
        return pretrained.read_config(checkpoint, kind)
    raise UserError(
        f"{kind}.checkpoint={checkpoint}: no folder, and its sizes are not known here; give a folder with its "
        "config.json, or a model by its name: google/flan-t5-*, google/t5-v1_1-*, google/mt5-*, thenlper/gte-*"
    )


def depth(sizes: Any) -> int | None:
    """The number of layers, of an encoder-decoder in each of its stacks; None where they differ."""
    counts = {int(getattr(sizes, f.name)) for f in fields(sizes) if f.name in _DEPTHS}
    return counts.pop() if len(counts) == 1 else None


def with_depth(sizes: Any, layers: int) -> Any:
    """The same model with so many layers, in each stack."""
    return replace(sizes, **{f.name: layers for f in fields(sizes) if f.name in _DEPTHS})


def record(config: ConfigDict, folder: Path, layers: int | None = None) -> None:
    """Writes of a configuration's models what a work directory records of them; `layers` of each stack, None for all.

    Raises:
      UserError: the sizes of one are not known.
    """
    kinds: list[Kind] = ["generator", "matcher"] if config.matcher.enabled else ["generator"]
    sizes = {kind: model_config(config, kind) for kind in kinds}
    if layers is not None:
        sizes = {kind: with_depth(found, layers) for kind, found in sizes.items()}
    models = {kind: registry.config_to_json(found) for kind, found in sizes.items()}
    (folder / setup.MODELS).write_text(json.dumps(models))


def types_of(config: ConfigDict, count: int | None) -> Schema:
    """The types of a configuration, or so many of no meaning.

    Raises:
      UserError: they are only known from its data.
    """
    if count is not None:
        described = "What a sentence about things of this kind says, in a few words."
        return Schema("planned", tuple(EntityType(f"type {i + 1}", described) for i in range(count)))
    try:
        return get_schema(config.data.schema or config.data.name)
    except UserError as error:
        reason = f"{error}; say how many there are, or set data.schema=FILE"
        raise ParameterError("types", "?", reason) from error
