"""The folder of real data and vocabularies beside the repository, which its clones lack.

Golden ids and published counts need it. All else is tested with data of our own (own_data.py), laid out in the same
way, and with the real ones too where they are at hand: the fixture `shared` is either folder.
"""

from pathlib import Path

import pytest

from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.columns import read_columns
from toner_jax.data.reading import Read

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
KINDS = ("own", "real") if SHARED.is_dir() else ("own",)

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"ids or counts of published files, and their folder {SHARED} is absent"
)


def schema_of(file: str) -> str:
    return "wnut17" if file.startswith("wnut17") else "jnlpba"


def read(folder: Path, file: str, split: str = "") -> Read:
    """A column file of such a folder, `jnlpba/devel.tsv`."""
    columns = () if "nested" in file else (-1,)
    return read_columns(folder / "data" / file, BUILTIN[schema_of(file)], split=split, tag_columns=columns)
