"""Which mesh and preset are chosen, by sizes whose right choice is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toner_jax.parallel.placement import Work, choose

GB = 10**9
# Parameters, width, heads and layers as published; a step's tokens for batches of 32, and of 8 for xxl.
LARGE = Work(783_150_080, 1024, 16, 24, 24, 32 * 128, 32 * 32)
XL = Work(2_849_757_184, 2048, 32, 24, 24, 32 * 128, 32 * 32)
XXL = Work(11_135_332_352, 4096, 64, 24, 24, 8 * 128, 8 * 32)


@pytest.mark.parametrize(
    ("work", "devices", "memory", "sizes", "preset"),
    [
        (LARGE, 1, 80 * GB, (1, 1, 1), "replicated"),
        (LARGE, 8, None, (8, 1, 1), "zero1"),  # a CPU does not tell its memory
        (LARGE, 8, 40 * GB, (8, 1, 1), "zero1"),
        # 8 bytes a parameter, and an eighth of 8: 25.6 GB fit. But zero1 moves 17.1 GB, and heads 4.4.
        (XL, 8, 80 * GB, (1, 1, 8), "tensor"),
        (replace(XL, source=256 * 128, target=256 * 32), 8, 80 * GB, (8, 1, 1), "zero1"),
        (XL, 8, 40 * GB, (1, 1, 8), "tensor"),  # 25.6 GB are more than 60 %
        (XXL, 8, 80 * GB, (1, 1, 8), "tensor"),
        (XXL, 16, 80 * GB, (1, 2, 8), "fsdp"),  # heads within a machine, rows of parameters between two
    ],
)
def test_the_choice(work, devices, memory, sizes, preset):
    found = choose(work, devices, memory)
    assert (found.sizes, found.preset) == (sizes, preset)
    assert str(found).startswith(f"sharding={preset} with mesh.data={sizes[0]}, mesh.fsdp={sizes[1]}, ")


def test_large_batches_are_split_by_rows():
    """Activations grow with the batch, parameters do not."""
    large_batch = Work(XXL.parameters, 4096, 64, 24, 24, 512 * 128, 512 * 32)
    found = choose(large_batch, 8, 80 * GB)
    assert (found.sizes, found.preset) == ((1, 8, 1), "fsdp")
    # Three times the parameters in bf16; and 2·(2·24·65,536 + 3·24·16,384) arrays of 4,096 in bf16, each moved twice.
    assert "a step moves 66.8 GB a device, 141.7 by tensor" in found.why


def test_heads_that_do_not_divide_are_not_split():
    odd = Work(XXL.parameters, 4096, 7, 24, 24, 8 * 128, 8 * 32)
    assert choose(odd, 8, 80 * GB).sizes == (1, 8, 1)
