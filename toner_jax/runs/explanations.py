"""The explanations that a run's generator is trained with (§3.5)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from toner_jax.common.console import say
from toner_jax.config import REFUSE
from toner_jax.data.explanations import controlled, explanations_of
from toner_jax.errors import UserError
from toner_jax.parallel.exchange import of_first
from toner_jax.runs.view import Settings
from toner_jax.schema import Schema, Sentence


def read_train_explanations(
    config: Settings, train: Sequence[Sentence], schema: Schema
) -> Mapping[str, str] | None:
    """By the id of the sentence, which the first process reads; None where the generator is not to explain.

    Raises:
      UserError: a file that cannot be read, or a sentence that has entities and no explanation, unless such are to be
        trained without.
    """
    c = config.generator
    if not c.explanations:
        return None

    def read() -> bytes:
        found = controlled(
            explanations_of(c.explanations, train, schema), train, c.explanation_control, config.seed
        )
        _tell(config, train, found)
        return json.dumps(found).encode()

    explanations: Mapping[str, str] = json.loads(of_first(read))
    return explanations


def _tell(config: Settings, train: Sequence[Sentence], found: Mapping[str, str]) -> None:
    c = config.generator
    lacking = [s.id for s in train if s.entities and s.id not in found]
    if lacking and c.unexplained == REFUSE:
        raise UserError(
            f"{c.explanations}: no explanation of {len(lacking):,} sentences of train that have entities, the first "
            f"{lacking[0]}; add them, or set generator.unexplained=plain"
        )
    control = f", {c.explanation_control}" if c.explanation_control else ""
    rest = f", {len(lacking):,} have none" if lacking else ""
    say(f"explanations ({c.explanations}{control}): of {len(found):,} sentences{rest}")
