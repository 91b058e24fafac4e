"""The text of a compiled program (optimized HLO), taken apart into its computations and their instructions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_BYTES = {
    "pred": 1, "s8": 1, "u8": 1, "f8e4m3": 1, "f8e4m3fn": 1, "f8e5m2": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2,
    "f32": 4, "s32": 4, "u32": 4, "f64": 8, "s64": 8, "u64": 8, "c64": 8, "c128": 16, "s4": 0.5, "u4": 0.5,
    "s2": 0.25, "u2": 0.25,
}  # fmt: skip
_SHAPE = re.compile(rf"\b({'|'.join(_BYTES)})\[([0-9,<=]*)\](\{{[^{{}}]*\}})?")
_COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{$")
_INSTRUCTION = re.compile(r"\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_OP = re.compile(r"([a-z][\w\-]*)\(")
_ROLES = "calls|to_apply|body|condition|branch_computations|called_computations"
_CALLED = re.compile(rf"\b(?:{_ROLES})=(\{{[^}}]*\}}|%?[\w.\-]+)")
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Shape:
    """An array's dtype, as HLO spells it, and its dimensions.

    Attributes:
      near: it lies in a memory of the processor itself, as many of a TPU's do.
    """

    dtype: str
    dims: tuple[int, ...]
    near: bool = False

    @property
    def size(self) -> int:
        return math.prod(self.dims)

    @property
    def bytes(self) -> int:
        return math.ceil(_BYTES[self.dtype] * self.size)


def read_shapes(text: str) -> tuple[Shape, ...]:
    """The arrays of a type, those of nested tuples in order; tokens and opaque values are left out."""
    return tuple(
        Shape(dtype, tuple(int(d.removeprefix("<=")) for d in dims.split(",") if d), "S(" in layout)
        for dtype, dims, layout in _SHAPE.findall(text)
    )


@dataclass(frozen=True)
class Instruction:
    """One line of a computation.

    Attributes:
      type: the text of its result's type.
      argument: what stands between the parentheses, of a parameter its number.
      attributes: what stands behind them.
      root: it is the computation's result.
    """

    name: str
    type: str
    op: str
    argument: str
    attributes: str
    root: bool

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        return read_shapes(self.type)

    @property
    def bytes(self) -> int:
        return sum(shape.bytes for shape in self.shapes)

    @property
    def traffic(self) -> int:
        """Bytes of its result that pass the device's memory."""
        return sum(shape.bytes for shape in self.shapes if not shape.near)

    @cached_property
    def operands(self) -> tuple[str, ...]:
        """The names of what it reads."""
        return tuple(re.findall(r"%([\w.\-]+)", self.argument))

    @cached_property
    def called(self) -> tuple[str, ...]:
        """The names of the computations it calls."""
        return tuple(
            name for found in _CALLED.findall(self.attributes) for name in re.findall(r"[\w.\-]+", found)
        )

    def called_as(self, role: str) -> str | None:
        """The computation in a role: "body", "condition", …"""
        found = re.search(rf"\b{role}=%?([\w.\-]+)", self.attributes)
        return found.group(1) if found else None

    @property
    def op_name(self) -> str:
        """The path of the JAX program that it comes from; "" where the compiler made it."""
        found = re.search(r'\bop_name="([^"]*)"', self.attributes)
        return found.group(1) if found else ""

    @property
    def target(self) -> str:
        """What a custom call calls."""
        found = re.search(r'\bcustom_call_target="([^"]*)"', self.attributes)
        return found.group(1) if found else ""


class Computation:
    """Instructions in order, found by name too."""

    def __init__(self, instructions: list[Instruction]):
        self.instructions = instructions
        self._by_name = {i.name: i for i in instructions}

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self.instructions)

    def get(self, name: str) -> Instruction | None:
        return self._by_name.get(name)

    def operands(self, instruction: Instruction) -> list[Instruction]:
        """What an instruction reads."""
        return [found for name in instruction.operands if (found := self._by_name.get(name))]

    @cached_property
    def users(self) -> dict[str, list[Instruction]]:
        """Who reads a value, by its name."""
        found: dict[str, list[Instruction]] = {}
        for instruction in self.instructions:
            for name in dict.fromkeys(instruction.operands):
                found.setdefault(name, []).append(instruction)
        return found

    @cached_property
    def parameters(self) -> dict[int, Instruction]:
        return {int(i.argument): i for i in self.instructions if i.op == "parameter"}

    @property
    def root(self) -> Instruction:
        return next((i for i in self.instructions if i.root), self.instructions[-1])


@dataclass(frozen=True)
class Module:
    """A program: its computations by name, and the name of the one it begins with."""

    computations: dict[str, Computation]
    entry: str


def read_module(text: str) -> Module:
    """Takes the text of a compiled program apart.

    Raises:
      ValueError: it is no HLO module with an entry.
    """
    bodies: dict[str, list[Instruction]] = {}
    current: list[Instruction] | None = None
    entry = ""
    for line in text.split("\n"):
        if header := _COMPUTATION.match(line):
            current = bodies.setdefault(header.group(2), [])
            entry = header.group(2) if header.group(1) else entry
        elif line.startswith("}"):
            current = None
        elif current is not None and (found := _read_instruction(line)):
            current.append(found)
    if not entry:
        raise ValueError("no HLO module: it has no ENTRY computation")
    return Module({name: Computation(body) for name, body in bodies.items()}, entry)


def _read_instruction(line: str) -> Instruction | None:
    found = _INSTRUCTION.match(line)
    if not found:
        return None
    root, name, rest = found.groups()
    end = _end_of_type(rest)
    op = _OP.match(rest, end + 1)
    if not op:
        return None
    close = _closing(rest, op.end() - 1)
    argument = rest[op.end() : close]
    return Instruction(name, rest[:end], op.group(1), argument.strip(), rest[close + 1 :], bool(root))


def _end_of_type(text: str) -> int:
    """Where the first space stands outside all parentheses."""
    depth = 0
    for place, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == " " and not depth:
            return place
    return len(text)


def _closing(text: str, opening: int) -> int:
    """Where the parenthesis that opens at a place closes; what stands in quotes is not looked at."""
    depth, quoted = 0, False
    for place in range(opening, len(text)):
        character = text[place]
        if character == '"' and text[place - 1] != "\\":
            quoted = not quoted
        elif quoted:
            continue
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
            if not depth:
                return place
    return len(text)
