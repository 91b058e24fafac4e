"""Groups of requests: each is decoded by one call of a compiled program, by continuous batching.

Few programs serve any number of inputs; on a CPU several groups are decoded at once, one for each core.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jax.sharding import Mesh

from toner_jax.inference.lengths import bucket_of
from toner_jax.inference.options import DecodeOptions, Techniques
from toner_jax.inference.threads import threads_for
from toner_jax.parallel.mesh import batch_divisor, on_cpu, round_batch
from toner_jax.pipeline.batching import length_sorted_batches

# Passes that most outputs end within, and tokens that they have at most; the rest are decoded again with
# all the room there is.
_PASSES, _TOKENS = 24, 96
# On CPU, so many active rows make the matrix products of one thread large enough, and so many groups for each thread
# even out their lengths.
_CPU_ROWS, _CPU_GROUPS = 16, 2
_SINGLE = 3  # so few inputs are decoded one by one
# Few inputs have groups of so many: a large group costs as much as if all its rows were at work.
_FEW = 8
# On CPU half as many rows do their work: one that has finished is no longer paid for, while another admits the next.
_CPU_FEW_ROWS = 4


@dataclass(frozen=True)
class Shape:
    """What one compiled program decodes: a group of `requests`, of which `rows` are active at a time, with sources
    padded to `source`, which is also the room for types and text on the tape, and a KV cache for so many `passes`."""

    requests: int
    rows: int
    source: int
    passes: int


@dataclass(frozen=True)
class GroupPlan:
    """How inputs become groups.

    Attributes:
      requests: of a group; `rows`, active at a time.
      few, few_rows: as those two, of a small group; `small`, how many inputs are decoded in such groups.
      threads: groups that are decoded at once.
      passes: that a row may take at first, and `most_passes` of one that needed more.
      buckets: lengths that sources are padded to.
      replicas: of the mesh, that rows lie on: even a single input has a group of a row for each.
      apart: whether each of several replicas admits requests on its own.
    """

    requests: int
    rows: int
    few: int
    few_rows: int
    small: int
    threads: int
    passes: int
    most_passes: int
    buckets: tuple[int, ...]
    replicas: int
    apart: bool

    @property
    def loops(self) -> int:
        """How many decode on their own, each with its share of a group: the replicas that are apart, or all as one."""
        return self.replicas if self.apart else 1

    def groups(self, lengths: Sequence[int], again: bool) -> Iterator[tuple[np.ndarray, Shape]]:
        """Which inputs, of so many pieces, are decoded together, and by which program; `again`: those that needed
        more passes."""
        requests, rows = self._size(len(lengths))
        # No group is shared between threads, so there are enough for all, of like sizes.
        groups = -(-len(lengths) // requests)
        if self.threads > 1 and requests == self.requests:
            most = -(-len(lengths) // max(1, rows // 2))
            groups = max(groups, min(self.threads * _CPU_GROUPS, most))
        for chosen in length_sorted_batches(lengths, -(-len(lengths) // groups)):
            source = self.buckets[-1] if again else bucket_of(lengths[chosen[0]], self.buckets)
            yield chosen, Shape(requests, rows, source, self.most_passes if again else self.passes)

    @property
    def _single(self) -> int:
        """So few inputs are decoded one by one, or one on each replica."""
        return _SINGLE if self.replicas == 1 else self.replicas

    def _size(self, inputs: int) -> tuple[int, int]:
        """The requests and rows of the groups that so many inputs are decoded in."""
        if inputs <= self._single:
            return self.replicas, self.replicas
        return (self.few, self.few_rows) if inputs <= self.small else (self.requests, self.rows)

    def shapes(self) -> Iterator[Shape]:
        """Those of all programs, for few inputs first."""
        for requests, rows in dict.fromkeys(
            map(self._size, (1, self._single + 1, max(self._single, self.small) + 1))
        ):
            for source in self.buckets:
                yield Shape(requests, rows, source, self.passes)
            yield Shape(requests, rows, self.buckets[-1], self.most_passes)


@dataclass(frozen=True)
class Planner:
    """Makes the plan of a generator.

    Attributes:
      buckets: lengths that sources are padded to.
      tokens_per_pass: tokens that a speculative pass verifies.
      limit: the most tokens of an output.
    """

    mesh: Mesh
    options: DecodeOptions
    techniques: Techniques
    buckets: tuple[int, ...]
    tokens_per_pass: int
    limit: int

    def plan(self, width: int, apart: bool) -> GroupPlan:
        """The plan for a model of this width; `apart` as `GroupPlan` has it."""
        per_row, threads = self.techniques.requests_per_row, self.techniques.threads
        replicas = batch_divisor(self.mesh)
        if replicas > 1 or per_row == 1:
            threads = 1
        threads = threads or threads_for(self.mesh, width)
        batch = self.options.batch_size
        rows = round_batch(min(batch, _CPU_ROWS) if threads > 1 else batch, self.mesh)
        few = round_batch(min(batch, _FEW), self.mesh)
        halved = on_cpu(self.mesh) and replicas == 1 and few == _FEW and per_row != 1
        return GroupPlan(
            # Rows that are in step on several devices cannot admit each other's requests.
            requests=rows * (per_row if apart or replicas == 1 else 1),
            rows=rows,
            few=few,
            few_rows=_CPU_FEW_ROWS if halved else few,
            small=few * threads * _CPU_GROUPS if on_cpu(self.mesh) else few,
            threads=threads,
            passes=min(max(_PASSES, -(-_TOKENS // self.tokens_per_pass)), self.limit),
            most_passes=self.limit,
            buckets=self.buckets,
            replicas=replicas,
            apart=apart,
        )
