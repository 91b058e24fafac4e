"""How the tensors of Hugging Face checkpoints are named, as data.

A parameter's path is a module path and a leaf, `encoder/layers_0/self_attention/query` and `kernel`. The
first row of `Names.modules` whose regex matches the whole module path gives Hugging Face's module, with
the groups filled in; `LEAVES` gives the tensor's name in it. One table serves reading and writing; each
architecture brings its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from toner_jax.errors import UserError
from toner_jax.models.hf.files import StoredTensor, stored_tensors

# Our leaf → (their leaf, transposed?): torch keeps the matrices of linear layers as [out, in].
LEAVES = {
    "embedding": ("weight", False),
    "kernel": ("weight", True),
    "scale": ("weight", False),
    "bias": ("bias", False),
}

_COMPARED_ROWS = 4096


@dataclass(frozen=True)
class Names:
    """How the tensors of one architecture are named."""

    modules: tuple[tuple[str, str], ...]
    """(regex over our module path, template of theirs)."""
    renamed: tuple[tuple[str, str], ...] = ()
    """(regex, replacement): older spellings in checkpoints, applied in order to every name."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Tensor → the tensor of which it is a copy, and for which it may stand."""
    unused: tuple[str, ...] = ()
    """Regexes of tensors that checkpoints carry and that no computation of ours reads."""
    ours_alone: tuple[str, ...] = ()
    """Parameters at the top of our tree that no checkpoint holds."""

    def tensor(self, path: str) -> tuple[str, bool]:
        """(Hugging Face's name, transposed?) of the parameter at a path of ours.

        Raises:
          ValueError: no row covers the path.
        """
        module, _, leaf = path.rpartition("/")
        for ours, theirs in self.modules:
            if match := re.fullmatch(ours, module):
                name, transpose = LEAVES[leaf]
                return f"{match.expand(theirs)}.{name}", transpose
        raise ValueError(f"no row of the table covers parameter {path!r}")

    def canonical(self, stored: str) -> str:
        """A checkpoint's tensor name, spelled as current versions spell it."""
        for old, new in self.renamed:
            stored = re.sub(old, new, stored)
        return stored

    def is_unused(self, name: str) -> bool:
        """Whether a tensor is one of `unused`."""
        return any(re.fullmatch(pattern, name) for pattern in self.unused)

    def is_ours_alone(self, path: str) -> bool:
        """Whether the parameter at a path of ours is one of `ours_alone`."""
        return path.split("/")[0] in self.ours_alone


def named_tensors(folder: Path, names: Names) -> dict[str, StoredTensor]:
    """The tensors of a folder, each once and under its current name, without the unused ones.

    Raises:
      UserError: the folder's files are damaged, a tensor is there twice, or what must be copies differ.
    """
    tensors: dict[str, StoredTensor] = {}
    for stored, tensor in stored_tensors(folder).items():
        name = names.canonical(stored)
        if names.is_unused(name):
            continue
        if name in tensors:
            raise UserError(f"{tensor.file}: {stored} and {tensors[name].name} are two names of one tensor")
        tensors[name] = tensor
    for copy, name in names.copies.items():
        if copy in tensors:
            tensor = tensors.pop(copy)
            if not _equal(tensors.setdefault(name, tensor), tensor):
                raise UserError(
                    f"{tensor.file}: tensor {copy} differs from {name}, of which it must be a copy"
                )
    return tensors


def _equal(a: StoredTensor, b: StoredTensor) -> bool:
    """Whether two tensors hold the same values; compared by blocks of rows."""
    if a.shape != b.shape:
        return False
    rows = a.shape[0]
    blocks = [slice(i, min(i + _COMPARED_ROWS, rows)) for i in range(0, rows, _COMPARED_ROWS)]
    with a.open() as one, b.open() as other:
        return all(np.array_equal(one[block], other[block]) for block in blocks)
