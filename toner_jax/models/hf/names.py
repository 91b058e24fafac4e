"""How the tensors of Hugging Face checkpoints are named, as data.

A parameter's path is a module path and a leaf, `encoder/layers_0/self_attention/query` and `kernel`. The
first row of `Names.modules` whose regex matches the whole module path gives Hugging Face's module, with
the groups filled in; `LEAVES` gives the tensor's name in it. One table serves reading and writing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# Our leaf → (their leaf, transposed?): torch keeps the matrices of linear layers as [out, in].
LEAVES = {
    "embedding": ("weight", False),
    "kernel": ("weight", True),
    "scale": ("weight", False),
    "bias": ("bias", False),
}

_STACK = r"(encoder|decoder)"
_PROJECTION = r"([qkvo])(?:uery|ey|alue|ut)"  # query → q, key → k, value → v, out → o


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


T5_NAMES = Names(
    modules=(
        (r"(shared|lm_head)", r"\1"),
        (rf"{_STACK}/final_norm", r"\1.final_layer_norm"),
        # One table of biases serves every layer of a stack; it is stored with the first.
        (rf"{_STACK}/relative_attention_bias", r"\1.block.0.layer.0.SelfAttention.relative_attention_bias"),
        (rf"{_STACK}/layers_(\d+)/self_attention_norm", r"\1.block.\2.layer.0.layer_norm"),
        (rf"{_STACK}/layers_(\d+)/self_attention/{_PROJECTION}", r"\1.block.\2.layer.0.SelfAttention.\3"),
        (r"decoder/layers_(\d+)/cross_attention_norm", r"decoder.block.\1.layer.1.layer_norm"),
        (
            rf"decoder/layers_(\d+)/cross_attention/{_PROJECTION}",
            r"decoder.block.\1.layer.1.EncDecAttention.\2",
        ),
        (r"encoder/layers_(\d+)/feed_forward_norm", r"encoder.block.\1.layer.1.layer_norm"),
        (r"decoder/layers_(\d+)/feed_forward_norm", r"decoder.block.\1.layer.2.layer_norm"),
        (r"encoder/layers_(\d+)/feed_forward/(w\w+)", r"encoder.block.\1.layer.1.DenseReluDense.\2"),
        (r"decoder/layers_(\d+)/feed_forward/(w\w+)", r"decoder.block.\1.layer.2.DenseReluDense.\2"),
    ),
    copies={
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
    },
    # The first conversions of T5 carried a second table of biases; T5 has none in cross-attention.
    unused=(r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",),
    ours_alone=("type_head",),
)

BERT_NAMES = Names(
    modules=(
        (r"(word|position|token_type)_embeddings", r"embeddings.\1_embeddings"),
        (r"embeddings_norm", r"embeddings.LayerNorm"),
        (r"layers_(\d+)/attention/(query|key|value)", r"encoder.layer.\1.attention.self.\2"),
        (r"layers_(\d+)/attention/out", r"encoder.layer.\1.attention.output.dense"),
        (r"layers_(\d+)/attention_norm", r"encoder.layer.\1.attention.output.LayerNorm"),
        (r"layers_(\d+)/(intermediate|output)", r"encoder.layer.\1.\2.dense"),
        (r"layers_(\d+)/output_norm", r"encoder.layer.\1.output.LayerNorm"),
        (r"pooler", r"pooler.dense"),
    ),
    renamed=(
        (r"^bert\.", ""),
        (r"LayerNorm\.gamma$", "LayerNorm.weight"),
        (r"LayerNorm\.beta$", "LayerNorm.bias"),
    ),
    # Positions 0, 1, … as a buffer, and the heads of pre-training.
    unused=(r"embeddings\.position_ids", r"cls\..+"),
)
