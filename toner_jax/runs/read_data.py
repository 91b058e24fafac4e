"""The data set of a run."""

from __future__ import annotations

from ml_collections import ConfigDict

from toner_jax.common.console import say, warn
from toner_jax.data.dataset import Dataset, dump_dataset, parse_dataset
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError
from toner_jax.parallel import processes
from toner_jax.parallel.exchange import of_first

SPLITS = ("train", "dev", "test")


def read_data(config: ConfigDict) -> Dataset:
    """The three splits, which the first process reads, with what was repaired said aloud.

    Raises:
      UserError: missing or malformed data, or a split without sentences.
    """
    options = DataOptions.from_section(config.data)
    if processes.several():
        dataset = parse_dataset(
            of_first(lambda: dump_dataset(load_dataset(options, SPLITS)).encode()).decode()
        )
    else:
        dataset = load_dataset(options, SPLITS)
    bare = [t.name for t in dataset.schema.types if not t.description]
    if bare and config.matcher.enabled and processes.is_first():
        warn(
            f"types without a description: {', '.join(bare)}; describe them in data.schema, the matcher reads it"
        )
    for name in SPLITS:
        sentences = dataset.splits[name]
        if not sentences:
            raise UserError(f"the {name} split has no sentences")
        entities = sum(len(s.gold) for s in sentences)
        unreachable = sum(len(s.unreachable) for s in sentences)
        repaired = ", ".join(f"{count} {kind}" for kind, count in dataset.repairs[name].items())
        note = f" (repaired: {repaired})" if repaired else ""
        lost = f", {unreachable:,} of them unreachable" if unreachable else ""
        counts = (
            f"{_count(len(sentences), 'sentence', 'sentences')}, {_count(entities, 'entity', 'entities')}"
        )
        say(f"{name}: {counts}{lost}{note}")
    for line in dataset.notes:
        say(line)
    return dataset


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
