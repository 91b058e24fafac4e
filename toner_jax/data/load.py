"""From the options of a data set to the sentences of its splits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from toner_jax.common import cache, reads
from toner_jax.common.files import expanded
from toner_jax.common.memory import LESS_DATA, told_of_memory
from toner_jax.data.carve import are_documents, carve_dev, carve_shares, check_shares, sample_train
from toner_jax.data.dataset import Dataset, dump_dataset, parse_dataset
from toner_jax.data.find import SPLITS, MissingData
from toner_jax.data.formats.registry import are_ours, get_format
from toner_jax.data.options import DataOptions
from toner_jax.data.overlap import (
    describe_shared_sentences,
    describe_unlearnable_types,
    named_documents,
    refuse_shared_documents,
)
from toner_jax.data.repairs import Repairs
from toner_jax.errors import ParameterError, UserError
from toner_jax.schema import Sentence

_CACHED = "data"  # the kind of entries


def load_dataset(options: DataOptions, splits: Sequence[str] = SPLITS) -> Dataset:
    """Loads the splits that the options describe, from the cache if all that was looked at is as it was.

    Args:
      options: `name`, `schema` (a built-in name or a file; "" for the one called `name`, or else inferred
        from the labels of all splits), `format`, and what the format reads. Formats of files read `dir`, `train`,
        `dev`, `test` (comma-separated candidates, the first that exists; "" for usual names), `source` (what
        data to bring and from where, for the errors) and their options (`toner_jax.data.formats`);
        "ontonotes" also `genres` and `exclude_genres`; "auto" chooses a format for each split by what lies
        there (`toner_jax.data.detect`); "hub" reads `dir` (an id or a folder), `subset`, `revision`,
        `columns` and the splits' names in `train`, `dev`, `test`; "generated" reads `generated`. With
        `carve_dev`, dev is carved out of train if train's documents have ids; with `carve_shares`, train is split.
      splits: which of train, dev and test to load.

    Raises:
      UserError: an unknown format or split, a missing folder or file, one file for two splits, a
        malformed file, or a document in two splits.
    """
    for split in splits:
        if split not in SPLITS:
            raise UserError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    # Generated data take less time to make than to read.
    if not options.cache or options.format == "generated" or not are_ours():
        return _load_and_compare(options, splits)
    paths = [str(expanded(path)) for path in (options.dir, options.schema, *options.tag_names)]
    key = cache.digest(asdict(options), paths, list(splits), cache.code_digest())
    if dataset := _unchanged(cache.fetch(_CACHED, key)):
        return dataset
    with reads.recorded() as record:
        dataset = _load_and_compare(options, splits)
    if record.whole:
        entry = f"{json.dumps(record.to_json())}\n{dump_dataset(dataset)}"
        cache.store(_CACHED, key, entry.encode())
    return dataset


def _unchanged(entry: bytes | None) -> Dataset | None:
    """The data set of an entry; None where there is none, or where reading would look at anything that has changed."""
    if entry is None:
        return None
    answers, _, rest = entry.partition(b"\n")
    return parse_dataset(rest.decode()) if reads.still_holds(json.loads(answers)) else None


def _load_and_compare(options: DataOptions, splits: Sequence[str]) -> Dataset:
    if options.carve_shares:
        dataset = _load_shares(options, splits)
    else:
        dataset = _load_carved(options, splits) if options.carve_dev else _load(options, splits)
    if options.train_sentences and "train" in dataset.splits:
        dataset = _sampled(dataset, options)
    refuse_shared_documents(dataset.splits)
    said = describe_shared_sentences(dataset.splits), describe_unlearnable_types(dataset.splits)
    return replace(dataset, notes=(*dataset.notes, *filter(None, said)))


def _sampled(dataset: Dataset, options: DataOptions) -> Dataset:
    """The data set with a part of train."""
    whole = dataset.splits["train"]
    part = sample_train(whole, options.train_sentences, options.carve_seed)
    note = f"train: {len(part):,} of {len(whole):,} sentences (data.train_sentences)"
    return replace(dataset, splits={**dataset.splits, "train": part}, notes=(*dataset.notes, note))


def _load(options: DataOptions, splits: Sequence[str]) -> Dataset:
    with told_of_memory(f"{options.dir or options.name}: reading the data", LESS_DATA):
        return get_format(options.format).load(options, splits)


def _load_carved(options: DataOptions, splits: Sequence[str]) -> Dataset:
    """The splits with dev carved out of train, or as the files have them where train names no documents."""
    if not {"train", "dev"} & set(splits):
        return _load(options, splits)
    train = _load(options, ["train"])
    if not named_documents(train.splits["train"]):
        return _load(options, splits)
    rest, dev = carve_dev(train.splits["train"], options.carve_dev, options.carve_seed)
    note = f"dev: {options.carve_dev} documents carved out of train (data.carve_dev); data.dev is not read"
    return _carved(options, splits, train, {"train": rest, "dev": dev}, note)


def _load_shares(options: DataOptions, splits: Sequence[str]) -> Dataset:
    """The splits, those with a share out of train's file."""
    check_shares(options.carve_shares)
    if options.carve_dev:
        raise ParameterError(
            "data.carve_shares",
            options.carve_shares,
            "splits train, as data.carve_dev does; set data.carve_dev=0",
        )
    train = _load(options, ["train"])
    carved = carve_shares(train.splits["train"], options.carve_shares, options.carve_seed)
    for split in carved:
        if split != "train" and _is_there(options, split):
            raise ParameterError(
                "data.carve_shares",
                options.carve_shares,
                f"{split} has data of its own; give it the share 0, or take its file away",
            )
    sizes = ", ".join(f"{len(sentences):,} {split}" for split, sentences in carved.items())
    by = "documents" if are_documents(train.splits["train"]) else "sentences"
    note = f"train split by {by} (data.carve_shares), in sentences: {sizes}"
    return _carved(options, splits, train, carved, note)


def _is_there(options: DataOptions, split: str) -> bool:
    try:
        _load(options, [split])
    except MissingData:
        return False
    return True


def _carved(
    options: DataOptions,
    splits: Sequence[str],
    train: Dataset,
    carved: Mapping[str, tuple[Sentence, ...]],
    note: str,
) -> Dataset:
    """The splits asked for: those carved out of `train`, and the others as they are read beside it."""
    others = [split for split in splits if split not in carved]
    found = _load(replace(options, edges=train.edges), others) if others else train
    sentences = {**found.splits, **carved}
    repairs = {split: Repairs() for split in carved} | {"train": train.repairs["train"]}
    asked = {s: sentences[s] for s in splits}, {s: {**found.repairs, **repairs}[s] for s in splits}
    notes = dict.fromkeys((*train.notes, *(found.notes if others else ()), note))
    return Dataset(train.schema, *asked, tuple(notes), train.edges)
