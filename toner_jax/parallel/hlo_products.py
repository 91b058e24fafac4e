"""The matrix products of a compiled program, whatever a back end writes them as."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

import numpy as np

from toner_jax.parallel.hlo_text import Computation, Instruction, Shape

_GEMMS = ("cublas", "gemm", "matmul")  # within the targets of custom calls that multiply matrices


@dataclass(frozen=True)
class Product:
    """A matrix product.

    Attributes:
      flops: of one run, a multiplication and an addition each.
      lhs, rhs, out: its factors and its result.
      op_name: the path of the JAX program that it comes from.
    """

    flops: float
    lhs: Shape
    rhs: Shape
    out: Shape
    op_name: str

    @property
    def dtypes(self) -> str:
        """As "bf16×bf16→f32"."""
        return f"{self.lhs.dtype}×{self.rhs.dtype}→{self.out.dtype}"


def product_of(instruction: Instruction, computation: Computation) -> Product | None:
    """The product that an instruction is; None if it is none."""
    contracted = _CONTRACTED.get(instruction.op)
    if contracted is None:
        return None
    factors = [shape for operand in computation.operands(instruction)[:2] for shape in operand.shapes[:1]]
    if len(factors) < 2 or not instruction.shapes:
        return None
    out = instruction.shapes[0]
    size = contracted(instruction, factors[0], factors[1], out)
    return (size and Product(2.0 * size, factors[0], factors[1], out, instruction.op_name)) or None


def _of_dot(instruction: Instruction, lhs: Shape, rhs: Shape, out: Shape) -> int:
    found = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", instruction.attributes)
    dims = [int(d) for d in found.group(1).split(",") if d] if found else []
    return out.size * math.prod(lhs.dims[d] for d in dims)


def _of_convolution(instruction: Instruction, lhs: Shape, rhs: Shape, out: Shape) -> int:
    """Multiplications that meet no padding: what a TPU's compiler makes of dots has batches as windows."""
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", instruction.attributes)
    if not labels:
        return 0
    source, kernel, result = labels.groups()
    window = _window(instruction.attributes)
    size = lhs.dims[source.index("f")] * out.dims[result.index("f")] * lhs.dims[source.index("b")]
    for place, spatial in enumerate(sorted(c for c in result if c.isdigit())):
        size *= _meetings(
            lhs.dims[source.index(spatial)], rhs.dims[kernel.index(spatial)], out.dims[result.index(spatial)],
            {key: values[place] for key, values in window.items() if place < len(values)},
        )  # fmt: skip
    return size // (_count(instruction, "feature_group_count") * _count(instruction, "batch_group_count"))


def _count(instruction: Instruction, name: str) -> int:
    found = re.search(rf"\b{name}=(\d+)", instruction.attributes)
    return int(found.group(1)) if found else 1


def _window(attributes: str) -> dict[str, list[str]]:
    """`window={size=8x1 pad=7_7x0_0}` by key, one value a spatial dimension."""
    found = re.search(r"window=\{([^}]*)\}", attributes)
    pairs = (pair.partition("=") for pair in found.group(1).split()) if found else ()
    return {key: values.split("x") for key, _, values in pairs}


def _meetings(source: int, kernel: int, out: int, window: dict[str, str]) -> int:
    """How many pairs of a place in the window and one in the result fall on an element of the source."""
    stride, low = int(window.get("stride", 1)), int(window.get("pad", "0_0").split("_")[0])
    spread, apart = int(window.get("lhs_dilate", 1)), int(window.get("rhs_dilate", 1))
    results = np.arange(out) * stride - low
    reach, met = (source - 1) * spread + 1, 0
    for place in range(kernel):
        at = results + place * apart
        met += int(np.count_nonzero((at >= 0) & (at < reach) & (at % spread == 0)))
    return met


def _of_custom_call(instruction: Instruction, lhs: Shape, rhs: Shape, out: Shape) -> int:
    if not any(name in instruction.target for name in _GEMMS):
        return 0
    dims = _contracting(instruction.attributes)
    if dims is not None:
        return out.size * math.prod(lhs.dims[d] for d in dims)
    # No dimensions are told: lhs·rhs / out is batch · contracted².
    return out.size * math.isqrt(lhs.size * rhs.size // out.size // math.prod(out.dims[:-2]))


def _contracting(attributes: str) -> list[int] | None:
    """The dimensions that cuBLAS is told to sum over."""
    found = re.search(r'"lhs_contracting_dimensions":(\[[^\]]*\])', attributes)
    return [int(d) for d in json.loads(found.group(1))] if found else None


_CONTRACTED = {"dot": _of_dot, "convolution": _of_convolution, "custom-call": _of_custom_call}
