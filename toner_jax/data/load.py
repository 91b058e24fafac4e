"""From the options of a data set to the sentences of its splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from toner_jax.common import cache
from toner_jax.common.files import expanded
from toner_jax.data.dataset import Dataset, read_dataset, write_dataset
from toner_jax.data.find import SPLITS
from toner_jax.data.formats.registry import get_format
from toner_jax.data.options import DataOptions
from toner_jax.data.overlap import (
    carve_dev,
    describe_shared_sentences,
    named_documents,
    refuse_shared_documents,
)
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError


def load_dataset(options: DataOptions, splits: Sequence[str] = SPLITS) -> Dataset:
    """Loads the splits that the options describe, from the cache where nothing has changed.

    Args:
      options: `name`, `schema` (a built-in name or a file; "" for the one called `name`, or else inferred
        from the training labels), `format`, and what the format reads. Formats of files read `dir`, `train`,
        `dev`, `test` (comma-separated candidates, the first that exists; "" for usual names), `source` (what
        data to bring and from where, for the errors) and their options (`toner_jax.data.formats`);
        "ontonotes" also `genres` and `exclude_genres`; "auto" chooses a format for each split by what lies
        there (`toner_jax.data.detect`); "hub" reads `dir` (an id or a folder), `subset`, `revision`,
        `columns` and the splits' names in `train`, `dev`, `test`; "generated" reads `generated`. With
        `carve_dev`, dev is carved out of train if train's documents have ids.
      splits: which of train, dev and test to load.

    Raises:
      UserError: an unknown format or split, a missing folder or file, one file for two splits, a
        malformed file, or a document in two splits.
    """
    for split in splits:
        if split not in SPLITS:
            raise UserError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    # Generated data take less time to make than to read; the hub keeps its own.
    folder = expanded(options.dir)
    if not options.cache or options.format == "generated" or not (options.dir and folder.is_dir()):
        return _load_and_compare(options, splits)
    schema_file = Path(options.schema)
    key = cache.digest(
        asdict(options),
        list(splits),
        cache.code_digest(),
        cache.tree_state(folder),
        schema_file.read_bytes() if schema_file.is_file() else None,
    )
    return cache.cached("data", key, lambda: _load_and_compare(options, splits), write_dataset, read_dataset)


def _load_and_compare(options: DataOptions, splits: Sequence[str]) -> Dataset:
    dataset = _load_carved(options, splits) if options.carve_dev else _load(options, splits)
    refuse_shared_documents(dataset.splits)
    shared = describe_shared_sentences(dataset.splits)
    return replace(dataset, notes=(*dataset.notes, shared)) if shared else dataset


def _load(options: DataOptions, splits: Sequence[str]) -> Dataset:
    return get_format(options.format).load(options, splits)


def _load_carved(options: DataOptions, splits: Sequence[str]) -> Dataset:
    """The splits with dev carved out of train, or as the files have them where train names no documents."""
    if not {"train", "dev"} & set(splits):
        return _load(options, splits)
    train = _load(options, ["train"])
    if not named_documents(train.splits["train"]):
        return _load(options, splits)
    rest, dev = carve_dev(train.splits["train"], options.carve_dev, options.carve_seed)
    others = [split for split in splits if split not in ("train", "dev")]
    found = _load(replace(options, edges=train.edges), others) if others else train
    sentences = {**found.splits, "train": rest, "dev": dev}
    repairs = {**found.repairs, "train": train.repairs["train"], "dev": Repairs()}
    note = f"dev: {options.carve_dev} documents carved out of train (data.carve_dev); data.dev is not read"
    asked = {s: sentences[s] for s in splits}, {s: repairs[s] for s in splits}
    return Dataset(train.schema, *asked, (note,), train.edges)
