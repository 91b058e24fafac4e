"""A model by the name that a user gives it: a folder, the demonstration in the package, or one of the Hugging Face
hub."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from toner_jax.common.console import warn
from toner_jax.common.files import expanded
from toner_jax.errors import UserError
from toner_jax.models.hf.hub import ID, reason_of

DEMONSTRATION = "quickstart"
ABOUT = "about.json"

_OF_A_MODEL = ("config.json", "toner.json")
# What a model is made of there; other files of its repository are not fetched.
_FETCHED = ("toner.json", "generator/*", "matcher/*")


def demonstration() -> Path:
    """The folder of the demonstration: the quickstart's model, as `Ner.save_pretrained` writes it, and `ABOUT`."""
    return Path(str(files("toner_jax"))) / "demonstration"


def about_demonstration() -> dict[str, Any]:
    """What it was trained on, and its strict F1 by test set."""
    about: dict[str, Any] = json.loads((demonstration() / ABOUT).read_text(encoding="utf-8"))
    return about


def warning_of_demonstration() -> str:
    """What everyone who uses it has to know."""
    f1 = about_demonstration()["f1"]
    return (
        f"{DEMONSTRATION} is a demonstration, trained on generated names: strict F1 {f1['generated']:.2f} on such, "
        f"{f1['wnut17']:.2f} on the real texts of WNUT-17; toner-jax train makes a model of your own texts"
    )


@cache
def _warn_of_demonstration() -> None:
    warn(warning_of_demonstration())  # once is enough


def find_model(model: str | Path, revision: str | None = None) -> Path:
    """The folder of a model; the demonstration says that it is one.

    Args:
      model: a work directory, a folder of `save_pretrained`, `DEMONSTRATION`, or the id of a model of the Hugging Face
        hub, as user/name, which is downloaded. A folder of that name goes first.
      revision: of the hub's: a branch, tag or commit; None for its main branch.

    Raises:
      UserError: there is no such model, or no way to reach it.
    """
    name, folder = str(model), expanded(str(model))
    of_the_hub = ID.fullmatch(name) and not folder.exists() and not folder.parent.exists()
    if not name:
        raise UserError("no model is named: the name is empty")
    if revision is not None and not of_the_hub:
        raise UserError(f"{name}: a revision is of a model of the Hugging Face hub, named as user/model")
    if name == DEMONSTRATION and not any((folder / file).is_file() for file in _OF_A_MODEL):
        _warn_of_demonstration()
        return demonstration()
    if folder.exists():
        return folder
    if of_the_hub:
        return _downloaded(name, revision)
    raise UserError(
        f"{name}: no such folder; a model is the work directory of a run, a folder of save_pretrained, "
        f"{DEMONSTRATION}, or user/model of the Hugging Face hub"
    )


def _downloaded(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(_FETCHED)))
    except (OSError, ValueError) as error:  # all of the hub's errors are one of these
        raise UserError(
            f"{name}: no such folder, and downloading it from the Hugging Face hub failed ({reason_of(error)})"
        ) from error
