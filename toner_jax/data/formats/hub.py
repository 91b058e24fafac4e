"""Hugging Face data sets: of the hub by their id, or a folder that `save_to_disk` wrote.

Label names are those of the set's features: copies of one set order their labels differently. Where these name none,
numbers have the names that `toner_jax.data.tag_names` finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toner_jax.common import reads
from toner_jax.common.files import expanded
from toner_jax.data.find import STEMS
from toner_jax.data.reading import Read, shown
from toner_jax.data.tag_names import Tagging
from toner_jax.data.word_lists import WordLists
from toner_jax.errors import ParameterError, UserError
from toner_jax.schema import Schema

_WORDS = ("tokens", "words")
_TAGS = ("ner_tags", "tags", "labels", "ner")


def open_hub(source: str, *, subset: str = "", revision: str = "") -> Mapping[str, Any]:
    """The splits of a data set; what is one split alone is called train.

    Args:
      source: a hub id, or a folder.
      subset: its configuration, where it has several; revision: a branch, tag or commit of the hub.

    Raises:
      UserError: it cannot be found or loaded, for a reason that is given.
    """
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            f"{source}: data.format=hub needs the library datasets ({error}); install it with pip install datasets"
        ) from error
    folder = expanded(source)
    reads.read_unrecorded()
    try:
        if is_saved(folder):
            loaded = datasets.load_from_disk(str(folder))
        else:
            # The library keeps what it made of a folder's files until their times are others, which copies keep.
            local = {"path": str(folder), "download_mode": "force_redownload"} if folder.is_dir() else {}
            named = {"path": source, "name": subset or None, "revision": revision or None}
            loaded = datasets.load_dataset(**{**named, **local})
    except Exception as error:  # of the network, the hub, the file formats and the library: no common class
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        hint = ""
        if "script" in reason.lower():
            hint = "; its script is not run: try data.revision=refs/convert/parquet, the hub's converted copy"
        elif "config name" in reason.lower() or "BuilderConfig" in reason:
            hint = "; name one in data.subset"
        raise UserError(
            f"{source}: cannot be loaded ({type(error).__name__}: {reason[:300]}){hint}"
        ) from error
    return loaded if isinstance(loaded, Mapping) else {"train": loaded}


def is_saved(folder: Path) -> bool:
    """Whether a folder is what `save_to_disk` wrote, of a whole set or of one split."""
    return reads.is_file(folder / "dataset_dict.json") or (
        reads.is_file(folder / "state.json") and reads.is_file(folder / "dataset_info.json")
    )


def check_one_split(folder: Path) -> None:
    """Refuses a folder of several splits where one is asked for.

    Raises:
      UserError: naming them, and the folder of one.
    """
    names = list(open_hub(str(folder)))
    if len(names) > 1:
        one = next(name for name in (*STEMS["test"], *names) if name in names)
        raise UserError(
            f"{folder}: a data set of {len(names)} splits ({', '.join(names)}); give the folder of one, {folder / one}"
        )


def find_split(names: Iterable[str], split: str, given: Sequence[str]) -> str | None:
    """The name of train, dev or test in a data set; None where it has none.

    Args:
      names: those of its splits.
      given: what `data.<split>` says; where that names files, as the configs of benchmark sets do, or nothing, the
        usual names count.

    Raises:
      UserError: several have usual names.
    """
    names = list(names)
    if found := next((name for name in given if name in names), None):
        return found
    if given and not any("." in name or name in STEMS[split] for name in given):
        return None
    usual = [name for name in STEMS[split] if name in names]
    if len(usual) > 1:
        one, other = usual[:2]
        raise UserError(
            f"the splits {one} and {other} may both be {split}; name one with data.{split}={one} or {other}"
        )
    return usual[0] if usual else None


def read_hub(
    rows: Any,
    schema: Schema | None,
    split: str,
    *,
    location: str,
    columns: Sequence[str] = (),
    tagging: Tagging | None = None,
) -> Read:
    """Sentences of one split.

    Args:
      rows: one of the splits of `open_hub`.
      schema: its names and tags are the labels that the set may use; None leaves them as they are.
      split: begins the sentences' ids.
      location: names the split in errors.
      columns: the names of the columns of words and of tags; () finds the usual ones.
      tagging: how tags are written, and what they are called where they are numbers without names.

    Returns:
      The sentences. Repairs: those of `WordLists`.

    Raises:
      UserError: no such column, numbers without names, or a malformed row, which is named.
    """
    if columns and len(columns) != 2:
        raise ParameterError("data.columns", repr(tuple(columns)), "give the columns of words and of tags")
    words_of = _column(rows, columns[:1] or _WORDS, "words", location)
    tags_of = _column(rows, columns[1:] or _TAGS, "tags", location)
    labels = _label_names(rows.features[tags_of], f"{location}: column {tags_of!r}")
    lists = WordLists(schema, split, tagging)
    for i, (words, tags) in enumerate(_rows(rows, words_of, tags_of)):
        where = f"{location}: row {i}"
        spelled = _spelled(tags, labels, where)
        if not isinstance(words, list) or not all(isinstance(w, str) for w in words):
            raise UserError(f"{where}: {words_of!r} is {shown(words)}; expected a list of strings")
        if len(words) != len(spelled):
            raise UserError(f"{where}: {len(spelled)} tags for {len(words)} words")
        lists.add_tagged(words, spelled, ([where] * len(words)).__getitem__, where)
    return lists.read(location)


def _column(rows: Any, names: Sequence[str], what: str, location: str) -> str:
    found = [n for n in names if n in rows.column_names]
    if len(found) != 1:
        problem = f"several columns may hold {what}" if found else f"no column {' or '.join(names)}"
        raise UserError(
            f"{location}: {problem}; its columns are {', '.join(map(shown, rows.column_names))}: name those of words "
            "and of tags in data.columns"
        )
    return found[0]


def _label_names(feature: Any, location: str) -> Sequence[str] | None:
    """The names of a column's numbers; None where it names none, or the tags are strings already."""
    inner = getattr(feature, "feature", None)
    if inner is None:
        raise UserError(
            f"{location} is no list of tags but {shown(str(feature))}; choose another in data.columns"
        )
    if hasattr(inner, "names"):
        names: Sequence[str] = inner.names
        return names
    dtype = str(getattr(inner, "dtype", inner))
    if dtype in ("string", "large_string") or dtype.startswith(("int", "uint")):
        return None
    raise UserError(f"{location} holds {dtype}; expected strings such as B-TYPE, or their numbers")


def _rows(rows: Any, words: str, tags: str) -> Iterator[tuple[Any, Any]]:
    for batch in rows.select_columns([words, tags]).iter(1000):
        yield from zip(batch[words], batch[tags], strict=True)


def _spelled(tags: Any, labels: Sequence[str] | None, location: str) -> Sequence[str]:
    if not isinstance(tags, list) or any(tag is None for tag in tags):
        raise UserError(f"{location}: the tags are {shown(tags)}; expected a list without gaps")
    if labels is None:
        return [str(tag).strip() for tag in tags]
    for tag in tags:
        if not 0 <= tag < len(labels):
            raise UserError(f"{location}: tag {tag} has no name; the set names {len(labels)} of them")
    return [labels[tag] for tag in tags]
