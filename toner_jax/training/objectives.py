"""What the two trainings minimise: from a model and its loss options to a function of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh

from toner_jax import losses
from toner_jax.inference.embedding import embed
from toner_jax.models.encoder import Encoder
from toner_jax.models.t5.model import shift_right
from toner_jax.models.tokens import Layout, unpadding
from toner_jax.models.toner import ToNER
from toner_jax.parallel.activations import mesh_of, on_mesh
from toner_jax.parallel.mesh import ROWS, batch_divisor, round_batch
from toner_jax.pipeline.batching import pad_rows
from toner_jax.pipeline.unpadding import cells, groups_of
from toner_jax.training.state import Loss


@dataclass(frozen=True)
class GeneratorObjective:
    """Eq. 6.

    Attributes:
      lambda_c: λ, the weight of the classification loss.
      normalization: of the generation loss, "token" or "sequence".
    """

    lambda_c: float
    normalization: str

    def counts(self, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """What the losses of a whole batch are divided by, for the parts that it is computed in."""
        weight = batch["weight"]
        return {
            "target_count": losses.generation_count(batch["target"], weight, self.normalization),
            "example_count": jnp.sum(weight),
        }

    def loss(self, model: ToNER) -> Loss:
        """The loss of a batch of `pipeline.samples.GeneratorSamples`."""
        deterministic = model.config.dropout_rate == 0

        def loss(
            params: Any, batch: Mapping[str, jax.Array], key: jax.Array
        ) -> tuple[jax.Array, dict[str, jax.Array]]:
            source, target, weight = batch["source"], batch["target"], batch["weight"]
            layout = layout_of(batch)
            outputs: Any = model.apply(
                {"params": params},
                source,
                (source != 0).astype(jnp.float32),
                shift_right(target),
                batch["pool_mask"],
                deterministic,
                layout,
                rngs={"dropout": key},
            )
            logits, types = outputs
            count = batch.get("target_count", self.counts(batch)["target_count"])
            if layout:
                places = unpadding(layout.target_cells, layout.target_mask)
                weight = places.unpad(jnp.broadcast_to(weight[:, None], target.shape))
                target = places.unpad(target)
            generation = losses.generation_loss(logits, target, weight, self.normalization, count)
            classification = losses.type_classification_loss(
                types, batch["present"], batch["weight"], batch.get("example_count")
            )
            total = losses.generator_loss(generation, classification, self.lambda_c)
            return total, {
                "loss": total,
                "generation_loss": generation,
                "classification_loss": classification,
            }

        return loss


def layout_of(batch: Mapping[str, jax.Array]) -> Layout | None:
    """Of a batch of `pipeline.samples.GeneratorSamples`; None where it does not say which cells hold tokens."""
    if "source_cells" not in batch:
        return None
    return Layout(batch["target"] != 0, batch["source_cells"], batch["target_cells"], batch["number"])


@dataclass(frozen=True)
class MatcherObjective:
    """Eq. 4.

    Attributes:
      tau: τ.
      null_cosine: the δ whose e^{δ/τ} joins the denominator; None for the paper's form.
    """

    tau: float
    null_cosine: float | None

    def counts(self, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """As of `GeneratorObjective`."""
        null = self.null_cosine is not None
        return {"sentence_count": losses.type_matching_count(batch["present"], batch["weight"], null)}

    def loss(self, model: Encoder, descriptions: Sequence[np.ndarray]) -> Loss:
        """The loss of a batch of `pipeline.samples.MatcherSamples`.

        Args:
          descriptions: ids of D_t of every type, in schema order; encoded once a step, not once a sentence.
        """
        deterministic = model.config.dropout_rate == 0

        def loss(
            params: Any, batch: Mapping[str, jax.Array], key: jax.Array
        ) -> tuple[jax.Array, dict[str, jax.Array]]:
            text_key, type_key = jax.random.split(key)
            types, type_cells = _of_types(descriptions, mesh_of(batch["ids"]))
            x = embed(
                model, params, batch["ids"], batch.get("ids_cells"), deterministic=deterministic,
                numbers=batch.get("number"), rngs={"dropout": text_key},
            )  # fmt: skip
            t = embed(
                model, params, types, type_cells, deterministic=deterministic, rngs={"dropout": type_key}
            )[: len(descriptions)]
            value = losses.type_matching_loss(
                x @ t.T,
                batch["present"],
                batch["weight"],
                self.tau,
                self.null_cosine,
                batch.get("sentence_count"),
            )
            return value, {"loss": value}

        return loss


def _of_types(descriptions: Sequence[np.ndarray], mesh: AbstractMesh | None) -> tuple[jax.Array, jax.Array]:
    """The rows of descriptions, and the cells that hold their tokens: each place of the mesh encodes its share of them,
    filled up so that the shares are equal."""
    count, longest = len(descriptions), max(len(d) for d in descriptions)
    rows, groups = count, 1
    if mesh is not None:
        rows, shares = round_batch(count, mesh), batch_divisor(mesh)
        groups = groups_of(rows, shares, mesh.size // shares, 1)
    lengths = np.array([len(d) for d in descriptions] + [0] * (rows - count))
    ids, found = pad_rows(descriptions, longest, rows), cells(lengths, longest, groups)
    return on_mesh(jnp.asarray(ids), mesh, ROWS), on_mesh(jnp.asarray(found), mesh, ROWS)
