"""From a config's `data` section to the sentences of its splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toner_jax.data.columns import read_columns
from toner_jax.data.schemas import get_schema
from toner_jax.errors import UserError
from toner_jax.schema import Schema, Sentence

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Dataset:
    """Annotated sentences by split.

    Attributes:
      schema: what every entity's type belongs to.
      splits: the splits that were asked for, in that order.
      repairs: per split, what reading repaired: reason → times; empty where the file was clean.
    """

    schema: Schema
    splits: Mapping[str, tuple[Sentence, ...]]
    repairs: Mapping[str, Mapping[str, int]]


def load_dataset(data: Any, splits: Sequence[str] = SPLITS) -> Dataset:
    """Loads the splits that `data` describes.

    Args:
      data: the config's `data` section: `name`, `schema` (a built-in name or a file; "" for the
        one called `name`), `format`, and what the format reads. "columns" reads `dir`, `train`,
        `dev`, `test` (comma-separated candidates, the first that exists), `token_column`,
        `tag_columns` and `source` (what data to bring and from where, for the errors);
        "generated" reads `generated.seed` and the split sizes `generated.{train,dev,test}`.
      splits: which of train, dev and test to load.

    Raises:
      UserError: an unknown format or split, a missing folder or file, one file for two splits, or a
        malformed file.
    """
    for split in splits:
        if split not in SPLITS:
            raise UserError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    if data.format not in _FORMATS:
        raise UserError(f"data.format={data.format!r}: expected one of {', '.join(_FORMATS)}")
    return _FORMATS[data.format](data, splits)


def _load_columns(data: Any, splits: Sequence[str]) -> Dataset:
    schema = get_schema(data.schema or data.name)
    sentences: dict[str, tuple[Sentence, ...]] = {}
    repairs: dict[str, Mapping[str, int]] = {}
    for split, path in _find_files(data, splits).items():
        sentences[split], repairs[split] = read_columns(
            path, schema, split=split, token_column=data.token_column, tag_columns=data.tag_columns
        )
    return Dataset(schema, sentences, repairs)


def _load_generated(data: Any, splits: Sequence[str]) -> Dataset:
    from toner_jax.data import generated

    if data.schema not in ("", generated.SCHEMA.name):
        raise UserError(f"data.schema={data.schema!r}: generated data brings its own schema; leave it empty")
    sizes = {split: getattr(data.generated, split) for split in splits}
    made = generated.generate(seed=data.generated.seed, sizes=sizes)
    return Dataset(generated.SCHEMA, {s: tuple(made[s]) for s in splits}, {s: {} for s in splits})


_FORMATS: Mapping[str, Callable[[Any, Sequence[str]], Dataset]] = {
    "columns": _load_columns,
    "generated": _load_generated,
}


def _find_files(data: Any, splits: Sequence[str]) -> dict[str, Path]:
    """Split → its file, for the splits asked for; no file may serve two splits, asked for or not."""

    def error(problem: str) -> UserError:
        return UserError(f"{problem}. {data.source}" if data.source else problem)

    if not data.dir:
        raise error(f"data.dir is empty: it names the folder that holds {data.name}")
    folder = Path(data.dir).expanduser()
    if not folder.is_dir():
        raise error(f"{folder}: no such folder (data.dir)")
    found: dict[str, Path] = {}
    for split in SPLITS:
        names = [name.strip() for name in getattr(data, split).split(",") if name.strip()]
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        if path is None:
            if split not in splits:
                continue
            if not names:
                raise error(f"data.{split} is empty: it names the file of the {split} split in {folder}")
            raise error(f"{folder}: no file {' or '.join(names)} (data.{split})")
        for other, taken in found.items():
            if path.samefile(taken):
                raise UserError(f"{path}: data.{other} and data.{split} are the same file; give each its own")
        found[split] = path
    return {split: found[split] for split in splits}
