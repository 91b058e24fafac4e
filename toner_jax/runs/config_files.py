"""The configuration in a work directory's `config.json`, and the format version that the folder carries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from toner_jax.common.files import write_atomically
from toner_jax.config import base
from toner_jax.config_keys import short
from toner_jax.errors import UserError
from toner_jax.runs.marker import as_json, digest_of

CONFIG = "config.json"

# The layout of a work directory and of a folder of `save_pretrained`. It grows when a reader of the former layout
# would fail or be wrong: another meaning of a key, another name or content of a file.
FORMAT_VERSION = 4
FORMAT_KEY = "format_version"
_DIGEST = "digest"  # of the other values, in `CONFIG`


def save(config: ConfigDict, path: Path) -> None:
    """Writes the whole configuration as JSON, with the format version of the folder that it describes, and a digest."""
    values = as_json({FORMAT_KEY: FORMAT_VERSION, **config.to_dict()})
    write_atomically(path, json.dumps({**values, _DIGEST: digest_of(values)}, indent=2) + "\n")


def load(path: Path) -> ConfigDict:
    """Reads what `save` wrote. A key that this version does not know is an error.

    Raises:
      UserError: the file is missing, damaged, or of another format version.
    """
    values = _read_whole(path)
    return from_json({key: value for key, value in values.items() if key != FORMAT_KEY}, str(path))


def check_format(workdir: Path) -> None:
    """Makes sure that a run can go on in a work directory.

    Raises:
      UserError: a run of another format version is there, or a damaged one.
    """
    if (workdir / CONFIG).exists():
        read_versioned(workdir / CONFIG)


def _read_whole(path: Path) -> dict[str, Any]:
    """The values of a `CONFIG`, less the digest, which they must have."""
    values = read_versioned(path)
    if values.pop(_DIGEST, None) != digest_of(values):
        raise UserError(
            f"{path}: other contents than were written; start the run again with its own settings, which writes it "
            "anew (other settings are given to the run, not edited here)"
        )
    return values


def read_versioned(path: Path) -> dict[str, Any]:
    """The object in a JSON file that carries the format version of its folder.

    Raises:
      UserError: the file is missing, damaged, or of another format version.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: damaged or unreadable ({error}); restore it or train anew elsewhere"
        ) from error
    found = values.get(FORMAT_KEY)
    if found != FORMAT_VERSION:
        has = "no format version" if found is None else f"format version {found}"
        raise UserError(
            f"{path}: {has}, and this toner_jax reads {FORMAT_VERSION}; use the toner_jax that wrote the folder, or "
            "train anew in another one"
        )
    return values


def from_json(values: Any, source: str) -> ConfigDict:
    """The configuration of a JSON value; `source` says where it comes from, for the errors."""
    config = base()
    try:
        config.update(_with_tuples(values))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{source}: not a configuration of this version ({short(str(error))})") from error
    return config


def _with_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _with_tuples(v) for k, v in value.items()}
    return tuple(value) if isinstance(value, list) else value
