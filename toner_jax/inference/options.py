"""How a generator is run at inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from toner_jax.schema import Entity
from toner_jax.tasks.grammar import Grammar
from toner_jax.tasks.recognized import Score, likeliest_apart


@dataclass(frozen=True)
class DecodeOptions:
    """What the configuration says of how outputs are found, made once in `runs/`. What becomes of them then, by their
    scores (`decode.threshold`, `decode.calibration_temperature`), is not the generator's affair.

    Attributes:
      max_source: pieces of an input, its end of sequence included; longer texts are cut into windows.
      max_length: tokens of an output that there is room for, its end of sequence included; of a longer one the whole
        items that fit count.
      halve: whether a window whose output is longer is read again in two halves: where `max_length` is the model's own
        limit, rather than a user's.
      batch_size: rows that are decoded at a time.
      window_overlap: words that neighbouring windows of a long sentence share.
      grammar: whether only well-formed outputs with spans of the text are written.
      flat: under the grammar, spans of one input do not overlap.
      symbols: whether entities count that have neither a letter nor a digit.
      tokens_per_pass: tokens that a speculative pass verifies; 0: by the device.
      beam_size: hypotheses of free decoding; 1 is greedy.
      length_penalty: beams are compared by log-probability / tokens ** this.
      weights: on several devices: "whole", each has all of them and decodes its own rows; "split", they lie as they are
        stored, the compiler gathers them where it needs them, and all rows are in step; "auto": whole where there is
        room.
    """

    max_source: int = 512
    max_length: int = 512
    halve: bool = False
    batch_size: int = 64
    window_overlap: int = 16
    grammar: bool = True
    flat: bool = False
    symbols: bool = True
    tokens_per_pass: int = 0
    beam_size: int = 1
    length_penalty: float = 1.0
    weights: str = "auto"

    def constrained(self, grammar: Grammar) -> Grammar:
        """What may be written in a task, with what these options allow beyond it left out."""
        return replace(grammar, flat=grammar.flat or (self.flat and grammar.spans))

    def compatible(self, scores: Mapping[Entity, Score]) -> dict[Entity, Score]:
        """Those of the entities found in neighbouring windows that may stand in one output. Each window keeps to the
        grammar; at a border two of them may differ, and under `flat` the likelier of two that overlap is kept."""
        return likeliest_apart(scores) if self.flat else dict(scores)


@dataclass(frozen=True)
class Techniques:
    """By which techniques outputs under the grammar are found; which outputs, does not depend on it. There are
    reasons to change them in benchmarks alone.

    Attributes:
      requests_per_row: requests that one call decodes, for each active row; with more than 1, rows whose request has
        finished admit waiting ones (continuous batching). So many leave few rows idle at the end.
      threads: groups of requests that are decoded at once; 0: of a small model on CPU one for each core, at most 16,
        otherwise 1.
      drafts: False drafts only what the format forces, and no item that it does not.
    """

    requests_per_row: int = 8
    threads: int = 0
    drafts: bool = True
