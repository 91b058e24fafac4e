"""What one stage makes and another reads, by name, and whether it is still what the other was made from.

A stage records the digest of every part that it reads when it begins. So T′ of another δ than the generator was
trained with, the tokenizers of other data or an edited schema are told, by whoever reads the run, from those that
belong to it: also where each file is whole and vouched for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from toner_jax.common.files import file_digest
from toner_jax.errors import UserError
from toner_jax.runs import setup
from toner_jax.runs.marker import complete, digest_of

# How a model is described in `setup.MODELS`.
_MODEL = "model of the "
_TOKENIZER = f"{setup.TOKENIZERS}/"


def model_parts(kind: str) -> tuple[str, ...]:
    """What a stage that runs a model of this kind reads of what the setup stage made."""
    return (setup.SCHEMA, f"{_TOKENIZER}{kind}", f"{_MODEL}{kind}")


def part_digest(workdir: Path, part: str) -> str:
    """The digest of a part.

    Args:
      part: the schema's file, a tokenizer's folder, `model of the KIND`, or a stage that is complete: what it made.

    Raises:
      UserError: it is not there.
    """
    try:
        if part == setup.SCHEMA:
            return file_digest(workdir / part)
        if part.startswith(_TOKENIZER):
            files = [
                p for p in sorted((workdir / part).rglob("*")) if p.is_file() and not p.name.startswith(".")
            ]
            return digest_of({p.relative_to(workdir).as_posix(): file_digest(p) for p in files})
        if part.startswith(_MODEL):
            models = json.loads((workdir / setup.MODELS).read_text(encoding="utf-8"))
            return digest_of(models[part.removeprefix(_MODEL)])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{workdir}: {part} cannot be read ({error!r}); start the run again") from error
    return complete(workdir, part).identity


def digests(workdir: Path, parts: Iterable[str]) -> dict[str, str]:
    """The digests of several."""
    return {part: part_digest(workdir, part) for part in parts}


def changed(workdir: Path, made_from: Mapping[str, str]) -> list[str]:
    """The parts that are others than a stage was made from."""
    return [part for part, digest in made_from.items() if part_digest(workdir, part) != digest]
