"""A program compiled, and what is read from it; of deep models, from two shallow programs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import jax

from toner_jax.common.console import say, warn
from toner_jax.common.environment import silent_stderr
from toner_jax.common.memory import out_of_memory
from toner_jax.compiling.programs import Planned, Sizes
from toner_jax.compiling.roofline import Machine, Roofline, roofline
from toner_jax.errors import ParameterError
from toner_jax.parallel.hlo import Program, read_program


@dataclass(frozen=True)
class Measured:
    """What one run of a program takes of one device.

    Attributes:
      arguments, outputs, aliased, temporaries, code: bytes of its memory; outputs that are aliased lie where arguments
        did.
      flops: of products; `products`, of them by their dtypes.
      kernels: launches.
      counts, moved: of collectives by kind, how many run and the bytes of their larger sides.
      casts, copies: bytes that kernels which do nothing else read and write inside loops.
      repeated: bytes of collectives inside loops, which are among `moved`.
      unknown_loops: loops that are taken to run once.
      kernel_seconds, collective_seconds: of its roofline; None for a device whose figures are not known.
      compile_seconds: of tracing and compiling on this machine, all that was compiled together.
    """

    arguments: float
    outputs: float
    aliased: float
    temporaries: float
    code: float
    flops: float
    kernels: float
    casts: float
    copies: float
    repeated: float
    unknown_loops: float
    compile_seconds: float
    kernel_seconds: float | None = None
    collective_seconds: float | None = None
    products: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)
    moved: Mapping[str, float] = field(default_factory=dict)

    @property
    def memory(self) -> float:
        """The most bytes that it needs at a time."""
        return self.arguments + self.outputs - self.aliased + self.temporaries + self.code

    @property
    def traffic(self) -> float:
        """Bytes of all collectives."""
        return sum(self.moved.values())

    @property
    def roofline(self) -> Roofline | None:
        if self.kernel_seconds is None or self.collective_seconds is None:
            return None
        return Roofline(self.kernel_seconds, self.collective_seconds)


@dataclass(frozen=True)
class Result:
    """A program's figures.

    Attributes:
      measured: None where the compiler refuses it because it does not fit; `refusal` is its reason.
      compiled: the depths that were compiled, where the figures are extrapolated from them.
      growth: by what share the collectives' bytes grow with a batch twice as large; None where that was not asked.
    """

    planned: Planned
    measured: Measured | None
    refusal: str = ""
    compiled: tuple[int, ...] = ()
    growth: float | None = None


def measure(planned: Planned, machine: Machine | None, layers: int | None, growth: bool) -> Result:
    """Compiles a program and reads it.

    Args:
      layers: the depth of the first of two shallow programs, of which the second is twice as deep; None compiles the
        whole program.
      growth: whether it is compiled for twice the batch, too.

    Raises:
      ParameterError: no two shallow programs stand for the whole.
    """
    depths = _depths(planned, layers)
    compiled: tuple[int, ...] = tuple(depth for depth in depths if depth is not None)
    found: list[Measured] = []
    for depth in depths:
        made = _compile(planned, Sizes(depth), machine)
        if isinstance(made, str):
            return Result(planned, None, made, compiled)
        found.append(made)
    grown = _growth(planned, depths[-1], found[-1], machine) if growth else None
    if len(found) == 1:
        return Result(planned, found[0], growth=grown)
    assert planned.layers is not None
    share = (planned.layers - compiled[0]) / (compiled[1] - compiled[0])
    whole = replace(
        extrapolated(found[0], found[1], share), compile_seconds=sum(m.compile_seconds for m in found)
    )
    return Result(planned, whole, "", compiled, grown)


def _depths(planned: Planned, layers: int | None) -> tuple[int | None, ...]:
    if layers is None:
        return (None,)
    if planned.layers is None:
        raise ParameterError("layers", layers, "the stacks of this model have different numbers of layers")
    if 2 * layers < planned.layers:
        return layers, 2 * layers
    warn(
        f"{planned.name}: {layers} and {2 * layers} layers are no less than its {planned.layers}; compiled whole"
    )
    return (None,)


def _growth(planned: Planned, depth: int | None, once: Measured, machine: Machine | None) -> float | None:
    if not once.traffic:
        return None
    twice = _compile(planned, Sizes(depth, 2), machine)
    return None if isinstance(twice, str) else twice.traffic / once.traffic - 1


def _compile(planned: Planned, sizes: Sizes, machine: Machine | None) -> Measured | str:
    """The figures of a program, or why the device has no room for it."""
    which = "" if sizes.layers is None else f", {sizes.layers} of {planned.layers} layers"
    twice = ", twice the batch" if sizes.times == 2 else ""
    say(f"compiling {planned.name}{which}{twice}")
    begun = time.monotonic()
    try:
        with silent_stderr():
            compiled = planned.lower(sizes).compile()
    except jax.errors.JaxRuntimeError as error:
        if refusal := out_of_memory(error):
            return refusal
        raise
    return _measured(compiled, machine, time.monotonic() - begun)


def _measured(compiled: jax.stages.Compiled, machine: Machine | None, seconds: float) -> Measured:
    memory: Any = compiled.memory_analysis()
    program: Program = read_program(compiled.as_text() or "")
    counts: dict[str, float] = {}
    for c in program.collectives:
        counts[c.kind] = counts.get(c.kind, 0) + c.count
    bound = roofline(program, machine) if machine else None
    return Measured(
        arguments=memory.argument_size_in_bytes,
        outputs=memory.output_size_in_bytes,
        aliased=memory.alias_size_in_bytes,
        temporaries=memory.temp_size_in_bytes,
        code=memory.generated_code_size_in_bytes,
        flops=program.flops,
        kernels=program.launches,
        casts=program.moved_in_loops("cast"),
        copies=program.moved_in_loops("copy"),
        repeated=sum(c.bytes * c.count for c in program.collectives if c.in_loop),
        unknown_loops=program.unknown_loops,
        compile_seconds=seconds,
        kernel_seconds=bound.kernels if bound else None,
        collective_seconds=bound.collectives if bound else None,
        products=program.flops_by_dtypes(),
        counts=counts,
        moved={kind: program.collective_bytes(kind) for kind in counts},
    )


def extrapolated(first: Measured, second: Measured, share: float) -> Measured:
    """What a deeper program takes: each figure of the first, and `share` times what the second has more."""

    def one(name: str) -> Any:
        a, b = getattr(first, name), getattr(second, name)
        if a is None or b is None or name == "unknown_loops":
            return a
        if isinstance(a, Mapping):
            return {key: _line(a.get(key, 0.0), b.get(key, 0.0), share) for key in {**a, **b}}
        return _line(a, b, share)

    return Measured(**{f.name: one(f.name) for f in fields(Measured)})


def _line(first: float, second: float, share: float) -> float:
    return max(0.0, first + share * (second - first))
