"""Models onto the Hugging Face hub."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from toner_jax.errors import UserError
from toner_jax.models.hf.hub import reason_of


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

    api = HfApi(library_name="toner_jax")
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        if branch is not None:
            api.create_branch(repo_id, branch=branch, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            save(Path(folder) / "model")
            done = api.upload_folder(
                repo_id=repo_id,
                folder_path=Path(folder) / "model",
                revision=branch,
                commit_message="Upload a model of toner_jax",
            )
    except (OSError, ValueError) as error:  # all of the hub's errors are one of these
        raise UserError(f"{repo_id}: the Hugging Face hub did not take it ({reason_of(error)})") from error
    return str(done.commit_url)
