"""How a generator is run at inference."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DecodeOptions:
    """What the configuration says of decoding, made once in `runs/`.

    Attributes:
      max_source: pieces of an input, its end of sequence included; longer texts are cut into windows.
      max_length: tokens of an output that there is room for, its end of sequence included.
      batch_size: rows that are decoded at a time.
      window_overlap: words that neighbouring windows of a long sentence share.
      grammar: whether only well-formed outputs with spans of the text are written.
      block: tokens that a pass verifies under the grammar; 0: by the device.
      beam_size: hypotheses of free decoding; 1 is greedy.
      length_penalty: beams are compared by log-probability / tokens ** this.
    """

    max_source: int = 512
    max_length: int = 512
    batch_size: int = 64
    window_overlap: int = 16
    grammar: bool = True
    block: int = 0
    beam_size: int = 1
    length_penalty: float = 1.0
