"""Where a checkpoint is: a folder, or a model of the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from toner_jax.common.files import expanded
from toner_jax.errors import UserError
from toner_jax.models.hf.files import CONFIG_FILE
from toner_jax.models.tokenizer import SENTENCEPIECE, WORDPIECE

DOWNLOADED = ("*.json", "*.safetensors", SENTENCEPIECE.file, WORDPIECE.file)

ID = re.compile(r"[\w.-]+/[\w.-]+")  # of a user's model of the hub

_LONG = 300  # characters of a reason


def reason_of(error: Exception) -> str:
    """What the hub, or the way to it, says of a failure: in one line, and in few words."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def resolve(checkpoint: str) -> Path:
    """The folder of a checkpoint: a local one, or a model of the Hugging Face hub, downloaded.

    Raises:
      UserError: there is no such folder, and no such model or no way to reach it.
    """
    folder = expanded(checkpoint)
    if checkpoint and folder.is_dir():
        return folder
    if folder.exists() or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", checkpoint):
        raise UserError(f"{checkpoint!r}: no such folder; pass one that holds {CONFIG_FILE} and safetensors")
    from huggingface_hub import snapshot_download

    try:
        # Exports to other formats sit in subfolders, which `*` of a pattern would match too.
        return Path(snapshot_download(checkpoint, allow_patterns=list(DOWNLOADED), ignore_patterns=["*/*"]))
    except (OSError, ValueError) as error:  # all of the hub's errors are one of these
        raise UserError(
            f"{checkpoint!r}: no such folder, and downloading it from the Hugging Face hub failed "
            f"({reason_of(error)}); "
            f"pass a folder that holds {CONFIG_FILE} and safetensors"
        ) from error
