"""Models onto the Hugging Face hub."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toner_jax.errors import UserError
from toner_jax.models.hf.hub import ID, reason_of


def push(
    save: Callable[[Path], None], repo_id: str, *, private: bool = False, branch: str | None = None
) -> str:
    """Uploads a model in one commit; the repository is created where there is none. The token is that of
    `huggingface-cli login`, or of HF_TOKEN.

    Args:
      save: writes the model to a folder.
      repo_id: user/model.
      private: of a repository that is created.
      branch: to commit to; None for the main one.

    Returns:
      The address of the commit.

    Raises:
      UserError: the hub refuses it, or cannot be reached.
    """
    from huggingface_hub import HfApi

    check_id(repo_id)
    api = HfApi(library_name="toner_jax")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        save(folder)
        return str(_upload(api, folder, repo_id, private, branch).commit_url)


def check_id(repo_id: str) -> None:
    """Raises UserError unless this may be the id of a model of the hub."""
    if not ID.fullmatch(repo_id):
        raise UserError(f"{repo_id}: name a model of the hub as user/model")


def _upload(api: Any, folder: Path, repo_id: str, private: bool, branch: str | None) -> Any:
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        if branch is not None:
            api.create_branch(repo_id, branch=branch, exist_ok=True)
        message = "Upload a model of toner_jax"
        return api.upload_folder(repo_id=repo_id, folder_path=folder, revision=branch, commit_message=message)
    except Exception as error:  # the hub's, those of the way to it, and of the library in between
        raise UserError(f"{repo_id}: the Hugging Face hub did not take it ({reason_of(error)})") from error
