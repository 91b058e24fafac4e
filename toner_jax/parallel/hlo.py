"""What a compiled program does, read from its optimized HLO: collectives, matrix products, kernels, and what it
casts and copies.

Nothing is executed: the text of `jax.jit(…).lower(…).compile().as_text()` says it, of programs for devices that are
not here too. All counts are of one device, with loops run as often as the compiler knows they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from toner_jax.parallel.hlo_groups import Groups, read_groups
from toner_jax.parallel.hlo_products import Product, product_of
from toner_jax.parallel.hlo_text import Computation, Instruction, Module, Shape, read_module

_COLLECTIVES = (
    "all-gather", "all-reduce", "reduce-scatter", "all-to-all", "ragged-all-to-all", "collective-permute",
    "collective-broadcast",
)  # fmt: skip
# What takes no time of its own.
_FREE = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id", "replica-id",
    "optimization-barrier", "domain", "add-dependency", "async-update", "async-done", "opt-barrier",
}  # fmt: skip
_FREE_CALLS = {"AllocateBuffer", "AssumeGatherIndicesInBound", "ConcatBitcast", "Sharding"}
_RESHAPING = {"parameter", "bitcast", "reshape", "transpose", "convert", "copy", "tuple", "get-tuple-element"}
_SLICES = ("dynamic-slice", "slice", "gather")


@dataclass(frozen=True)
class Collective:
    """An exchange between devices.

    Attributes:
      kind: "all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute", …
      shapes: the arrays of its larger side, on one device: what an all-gather gives, what a reduce-scatter takes.
      count: how often it runs.
      groups: the devices that it joins; () where all are one group, None where the text does not tell.
      op_name: the path of the JAX program that it comes from.
      in_loop: it runs inside a loop.
    """

    kind: str
    shapes: tuple[Shape, ...]
    count: int
    groups: Groups | None
    op_name: str
    in_loop: bool

    @property
    def bytes(self) -> int:
        """Of one run."""
        return sum(shape.bytes for shape in self.shapes)

    @property
    def dtype(self) -> str:
        """That of its largest array."""
        return max(self.shapes, key=lambda s: s.bytes).dtype if self.shapes else ""


@dataclass(frozen=True)
class Kernel:
    """A piece of work that a device is given as a whole.

    Attributes:
      op: "fusion", "dot", "custom-call", …
      bytes: what one run reads from the device's memory and writes to it; of what is sliced or updated in place, the
        part.
      products: the matrix products in it.
      moves: "cast" where changing dtypes is all it does, "copy" where it changes nothing, "" for the rest.
      dtypes: of its first operand and its result, as "f32→bf16".
      count, op_name, in_loop: as of `Collective`.
    """

    op: str
    name: str
    bytes: int
    products: tuple[Product, ...]
    moves: str
    dtypes: str
    count: int
    op_name: str
    in_loop: bool

    @property
    def flops(self) -> float:
        """Of its products, in one run."""
        return sum(product.flops for product in self.products)


@dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes:
      unknown_loops: loops whose number of rounds the compiler does not know.
    """

    collectives: tuple[Collective, ...]
    kernels: tuple[Kernel, ...]
    unknown_loops: int

    @property
    def flops(self) -> float:
        """Of all matrix products."""
        return sum(kernel.flops * kernel.count for kernel in self.kernels)

    @property
    def launches(self) -> int:
        return sum(kernel.count for kernel in self.kernels)

    def collective_bytes(self, kind: str | None = None) -> int:
        """Bytes of the larger sides of all collectives, or of those of a kind."""
        return sum(c.bytes * c.count for c in self.collectives if kind in (None, c.kind))

    def flops_by_dtypes(self) -> dict[str, float]:
        """FLOPs of products by their dtypes, as "bf16×bf16→f32"; the most first."""
        found: dict[str, float] = {}
        for kernel in self.kernels:
            for product in kernel.products:
                found[product.dtypes] = found.get(product.dtypes, 0.0) + product.flops * kernel.count
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def moved_in_loops(self, what: str) -> int:
        """Bytes that kernels which only "cast" or "copy" read and write inside loops."""
        return sum(k.bytes * k.count for k in self.kernels if k.in_loop and k.moves == what)


_Placed = tuple[Instruction, Computation]  # an instruction, and the computation that it stands in


def read_program(text: str, rounds: int = 1) -> Program:
    """Reads the text of a compiled program.

    Args:
      rounds: how often a loop is taken to run where the compiler does not know.

    Raises:
      ValueError: it is no HLO module.
    """
    reader = _Reader(read_module(text), rounds)
    reader.read(reader.module.entry, 1, False)
    return Program(tuple(reader.collectives), tuple(reader.kernels), reader.unknown_loops)


@dataclass
class _Reader:
    """Walks what runs, from the entry down."""

    module: Module
    rounds: int
    collectives: list[Collective] = field(default_factory=list)
    kernels: list[Kernel] = field(default_factory=list)
    unknown_loops: int = 0
    _started: set[str] = field(default_factory=set)  # channels of collectives that another fusion waits for

    def read(self, name: str, count: int, in_loop: bool) -> None:
        """Adds what `count` runs of a computation do."""
        computation = self.module.computations[name]
        for instruction in computation:
            op = instruction.op
            if op in _FREE or op.endswith("-done") or instruction.target in _FREE_CALLS:
                continue
            kind = op.removesuffix("-start")
            if kind in _COLLECTIVES:
                self._add_collective(kind, instruction, computation, count, in_loop)
            elif op == "fusion" and (joint := self._collective_in(instruction)):
                self._read_joint(instruction, computation, joint, count, in_loop)
            elif op == "while":
                self._read_loop(instruction, count)
            elif op in ("call", "conditional", "async-start"):
                for called in instruction.called:
                    self.read(called, count, in_loop)
            else:
                self._add_kernel(instruction, computation, count, in_loop)

    def _read_loop(self, instruction: Instruction, count: int) -> None:
        found = re.search(r'"?known_trip_count"?:\{"?n"?:"?(\d+)', instruction.attributes)
        self.unknown_loops += not found
        rounds = int(found.group(1)) if found else self.rounds
        for role in ("condition", "body"):
            if called := instruction.called_as(role):
                self.read(called, count * rounds, True)

    def _collective_in(self, fusion: Instruction) -> _Placed | None:
        """The collective in a fusion."""
        return next((placed for placed in self._inside(fusion) if placed[0].op in _COLLECTIVES), None)

    def _read_joint(
        self, fusion: Instruction, computation: Computation, joint: _Placed, count: int, in_loop: bool
    ) -> None:
        """Adds a fusion that a TPU's compiler made of a collective and other work: of an all-reduce and a slice; or of
        what goes on while a collective does that another fusion has started and a third one waits for."""
        inside = [instruction for instruction, _ in self._inside(fusion)]
        targets = {instruction.target for instruction in inside}
        channel = _channel(joint[0])
        if "AsyncCollectiveStart" in targets or channel not in self._started:
            scattered = any(called.startswith("all-reduce-scatter") for called in fusion.called)
            kind = "reduce-scatter" if scattered else joint[0].op
            self._add_collective(kind, *joint, count, in_loop)
        if "AsyncCollectiveStart" in targets:
            self._started.add(channel)
        elif any(instruction.op in ("dot", "convolution") for instruction in inside):
            self._add_kernel(fusion, computation, count, in_loop)

    def _add_collective(
        self, kind: str, instruction: Instruction, computation: Computation, count: int, in_loop: bool
    ) -> None:
        taken = tuple(shape for operand in computation.operands(instruction) for shape in operand.shapes)
        given = instruction.shapes
        if instruction.op.endswith("-start") and kind != "all-reduce":
            # Its result names what it takes beside what it gives, and what the device notes meanwhile.
            given = tuple(s for s in given[len(taken) :] if s.dims or not any(t.dims for t in taken))
        larger = max(taken, given, key=lambda side: sum(shape.bytes for shape in side))
        groups = read_groups(instruction.attributes)
        self.collectives.append(Collective(kind, larger, count, groups, instruction.op_name, in_loop))

    def _add_kernel(
        self, instruction: Instruction, computation: Computation, count: int, in_loop: bool
    ) -> None:
        inside = [(instruction, computation), *self._inside(instruction)]
        products = tuple(found for i, c in inside if (found := product_of(i, c)))
        first = next((o.shapes[0].dtype for o in computation.operands(instruction) if o.shapes), "")
        result = instruction.shapes[0].dtype if instruction.shapes else ""
        self.kernels.append(
            Kernel(
                op=instruction.op,
                name=instruction.name,
                bytes=self._bytes(instruction, computation),
                products=products,
                moves=_moves([i for i, _ in inside if i.op != "fusion"]),
                dtypes=f"{first}→{result}",
                count=count,
                op_name=instruction.op_name,
                in_loop=in_loop,
            )
        )

    def _inside(self, instruction: Instruction) -> Iterator[_Placed]:
        """The instructions of a fusion, those of fusions in it too, each with its computation."""
        if instruction.op not in ("fusion", "call"):
            return
        for name in instruction.called:
            computation = self.module.computations[name]
            for found in computation:
                yield found, computation
                yield from self._inside(found)

    def _bytes(self, instruction: Instruction, computation: Computation) -> int:
        operands = computation.operands(instruction)
        if instruction.op == "dynamic-update-slice":
            return 2 * operands[1].bytes
        if instruction.op in _SLICES:
            return 2 * instruction.bytes + sum(o.traffic for o in operands[1:])
        if instruction.op != "fusion":
            return instruction.traffic + sum(o.traffic for o in operands)
        fused = self.module.computations[instruction.called[0]]
        read = sum(
            min(operand.traffic, _read_of(parameter, fused))
            for place, operand in enumerate(operands)
            if (parameter := fused.parameters.get(place))
        )
        results, shapes = _results(fused), instruction.shapes
        far = [not s.near for s in shapes] if len(shapes) == len(results) else [True] * len(results)
        return read + sum(_written(result, fused) for result, out in zip(results, far, strict=True) if out)


def _channel(collective: Instruction) -> str:
    found = re.search(r"\bchannel_id=(\d+)", collective.attributes)
    return found.group(1) if found else collective.name


def _results(fused: Computation) -> list[Instruction]:
    root = fused.root
    return fused.operands(root) if root.op == "tuple" else [root]


def _written(result: Instruction, fused: Computation) -> int:
    """What a fusion writes of a result: of one that is updated in place, the update, and of one that a collective
    gives or that it hands on, nothing."""
    found: Instruction = result
    while found.op == "bitcast":
        found = fused.operands(found)[0]
    if found.op in _COLLECTIVES or (found.op == "parameter" and found is not fused.root):
        return 0
    return fused.operands(found)[1].bytes if found.op == "dynamic-update-slice" else result.bytes


def _read_of(parameter: Instruction, fused: Computation) -> int:
    """What a fusion reads of a parameter: where it is only sliced, the slices."""
    users = fused.users.get(parameter.name, [])

    def part(user: Instruction) -> int | None:
        if user.op in _COLLECTIVES or (user.op == "tuple" and user is fused.root):
            return 0
        if user.operands[0] != parameter.name or parameter.name in user.operands[1:]:
            return None
        if user.op in _SLICES:
            return user.bytes
        return 0 if user.op == "dynamic-update-slice" else None

    parts = [part(user) for user in users]
    return sum(p for p in parts if p is not None) if users and None not in parts else parameter.bytes


def _moves(inside: list[Instruction]) -> str:
    if not all(i.op in _RESHAPING for i in inside):
        return "copy" if [i.op for i in inside] == ["copy-start"] else ""
    ops = {i.op for i in inside}
    return "cast" if "convert" in ops else "copy" if ops & {"copy", "transpose"} else ""
