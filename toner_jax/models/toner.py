"""The generator: Flan-T5 with the type classifier of §3.3 on its encoder."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import PartitionSpec as P

from toner_jax.models.layers import Linear
from toner_jax.models.pooling import mean_pool
from toner_jax.models.t5.model import T5
from toner_jax.models.tokens import Layout
from toner_jax.parallel.sharding import ShardingRules

TYPE_HEAD_SHARDING = ShardingRules(
    (
        (r"type_head/dense/kernel$", P("fsdp", "tensor")),
        (r"type_head/out/kernel$", P("tensor", "fsdp")),
        (r"type_head/(dense|out)/bias$", P()),
    )
)


class TypeHead(nn.Module):
    """The type classifier c of §3.3: Linear–tanh–Linear, h(x) fp32 [B, D] → logits fp32 [B, K], one for each type in
    schema order; logit > 0 means present.

    Attributes:
      num_types: K.
    """

    num_types: int

    @nn.compact
    def __call__(self, h_BD: jax.Array) -> jax.Array:
        init = nn.initializers.lecun_normal()
        x = Linear(h_BD.shape[-1], init, use_bias=True, tensor="outputs", name="dense")(h_BD)
        return Linear(self.num_types, init, use_bias=True, tensor="inputs", name="out")(jnp.tanh(x))


class ToNER(T5):
    """T5 with a type classifier on its encoder, which serves training alone (Eq. 5): inference asks for `encode` and
    `decode`, and checkpoints leave it out.

    Parameter paths of the T5 part are those of `T5`; the classifier's begin with `type_head`.

    Attributes:
      num_types: K, how many types the schema has.
    """

    num_types: int = 1

    def setup(self) -> None:
        super().setup()
        self.type_head = TypeHead(self.num_types)

    def __call__(  # type: ignore[override]  # the head also needs the text's place
        self,
        source: jax.Array,
        source_mask: jax.Array,
        target_in: jax.Array,
        pool_mask: jax.Array,
        deterministic: bool = True,
        layout: Layout | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Logits of the target, [B, T, V] or of its tokens alone [G, N, V], and of the types [B, K], fp32.

        Args:
          source: int32 [B, S]; `source_mask` [B, S] is 1 on real tokens.
          target_in: int32 [B, T], shifted right.
          pool_mask: [B, S], 1 on the tokens whose mean encoder state is h(x).
          layout: which cells hold tokens; None computes all.
        """
        encoded, logits = self.encode_and_decode(source, source_mask, target_in, deterministic, layout)
        return logits, self.type_head(mean_pool(encoded, pool_mask))
