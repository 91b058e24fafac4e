"""What a stage's result depends on, as a flat dict, and how two of them differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache

from ml_collections import ConfigDict

from toner_jax import config as configuration
from toner_jax.config_keys import get
from toner_jax.runs.marker import Fingerprint, as_json
from toner_jax.schema import Schema, Sentence

_ABSENT = "(absent)"


def differences(old: Fingerprint, new: Fingerprint) -> list[str]:
    """The keys that differ. One that the old fingerprint lacks, as a former version did not have it, is the same if
    it has its default."""
    defaults = _defaults()
    return [
        key
        for key in dict.fromkeys([*old, *new])
        if old.get(key, defaults.get(key, _ABSENT)) != new.get(key, _ABSENT)
    ]


@cache
def _defaults() -> Fingerprint:
    """Of every key of the configuration."""
    base = configuration.base()
    defaults: Fingerprint = as_json(config_keys(base, base))
    return defaults


def describe_changes(old: Fingerprint, new: Fingerprint) -> list[str]:
    """`key: old → new` for every difference; of a digest, that it is another."""
    return [
        f"{key}: other than it was made from"
        if key not in _defaults()
        else f"{key}: {old.get(key, _ABSENT)} → {new.get(key, _ABSENT)}"
        for key in differences(old, new)
    ]


def config_keys(config: ConfigDict, keys: Iterable[str]) -> Fingerprint:
    """The values of dotted keys; a section stands for all keys in it."""
    values: Fingerprint = {}
    for key in keys:
        value = get(config, key)
        if isinstance(value, ConfigDict):
            values.update(config_keys(config, [f"{key}.{k}" for k in sorted(value)]))
        elif key in configuration.NUMBERS_OR and value != configuration.NUMBERS_OR[key]:
            values[key] = float(value)  # 0 is 0.0, as it is for keys of type float
        else:
            values[key] = value
    return values


def data_digest(sentences: Sequence[Sentence], schema: Schema, labels: bool = True) -> str:
    """A digest of the words, and of the annotation unless `labels` is False."""
    digest = hashlib.blake2b(json.dumps(schema.to_json()).encode(), digest_size=8)
    for s in sentences:
        entities = [(e.start, e.end, e.type) for e in s.gold] if labels else []
        digest.update(json.dumps([s.words, entities]).encode())
    return digest.hexdigest()
