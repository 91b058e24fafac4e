"""Reading a compiled program: HLO written by hand, whose figures stand beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toner_jax.models import registry
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.flops import training_flops
from toner_jax.models.t5.model import shift_right
from toner_jax.models.toner import ToNER
from toner_jax.parallel.hlo import read_program

LOOP = """HloModule jit_f, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%fused (p0: f32[8,16], p1: bf16[16,4]) -> f32[8,4] {
  %p0 = f32[8,16]{1,0} parameter(0)
  %p1 = bf16[16,4]{1,0} parameter(1)
  %wide = f32[16,4]{1,0} convert(%p1)
  ROOT %product = f32[8,4]{1,0} dot(%p0, %wide), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%casting (q0: f32[16,4]) -> bf16[16,4] {
  %q0 = f32[16,4]{1,0} parameter(0)
  ROOT %narrow = bf16[16,4]{1,0} convert(%q0)
}

%body (state: (s32[], f32[8,16], f32[16,4], f32[8,4])) -> (s32[], f32[8,16], f32[16,4], f32[8,4]) {
  %state = (s32[], f32[8,16]{1,0}, f32[16,4]{1,0}, /*index=3*/f32[8,4]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%state), index=0
  %x = f32[8,16]{1,0} get-tuple-element(%state), index=1
  %w = f32[16,4]{1,0} get-tuple-element(%state), index=2
  %cast = bf16[16,4]{1,0} fusion(%w), kind=kLoop, calls=%casting
  %y = f32[8,4]{1,0} fusion(%x, %cast), kind=kOutput, calls=%fused
  %summed = f32[8,4]{1,0} all-reduce(%y), replica_groups={{0,1},{2,3}}, to_apply=%add, metadata={op_name="jit(f)/psum"}
  %kept = f32[8,4]{0,1} copy(%summed)
  ROOT %next = (s32[], f32[8,16]{1,0}, f32[16,4]{1,0}, f32[8,4]{1,0}) tuple(%i, %x, %w, %kept)
}

%condition (state.1: (s32[], f32[8,16], f32[16,4], f32[8,4])) -> pred[] {
  %state.1 = (s32[], f32[8,16]{1,0}, f32[16,4]{1,0}, f32[8,4]{1,0}) parameter(0)
  ROOT %true = pred[] constant(true)
}

ENTRY %main (begin: (s32[], f32[8,16], f32[16,4], f32[8,4])) -> (s32[], f32[8,16], f32[16,4], f32[8,4]) {
  %begin = (s32[], f32[8,16]{1,0}, f32[16,4]{1,0}, f32[8,4]{1,0}) parameter(0)
  ROOT %loop = (s32[], f32[8,16]{1,0}, f32[16,4], f32[8,4]) while(%begin), condition=%condition, body=%body, TRIPS
}
""".replace("TRIPS", 'backend_config={"known_trip_count":{"n":"7"}}')


def entry(*lines: str, before: str = "") -> str:
    """A program of these instructions."""
    body = "\n".join(f"  {line}" for line in lines)
    return f"HloModule m\n\n{before}\nENTRY %main (a: f32[1]) -> f32[1] {{\n{body}\n}}\n"


def test_what_a_loop_does_counts_as_often_as_it_runs():
    program = read_program(LOOP)
    assert program.unknown_loops == 0
    assert program.launches == 7 * 3  # the cast, the product, the copy
    assert program.flops == 7 * 2 * 8 * 4 * 16
    assert program.flops_by_dtypes() == {"f32×f32→f32": 7168}
    (exchange,) = program.collectives
    assert (exchange.kind, exchange.dtype, exchange.bytes, exchange.count) == ("all-reduce", "f32", 128, 7)
    assert (exchange.groups, exchange.op_name, exchange.in_loop) == (((0, 1), (2, 3)), "jit(f)/psum", True)
    assert program.collective_bytes() == program.collective_bytes("all-reduce") == 7 * 8 * 4 * 4
    assert program.collective_bytes("all-gather") == 0


def test_casts_and_copies_in_loops_are_told_apart_from_work():
    program = read_program(LOOP)
    assert [(k.name, k.moves, k.dtypes, k.bytes) for k in program.kernels] == [
        ("cast", "cast", "f32→bf16", 16 * 4 * 4 + 16 * 4 * 2),
        ("y", "", "f32→f32", 8 * 16 * 4 + 16 * 4 * 2 + 8 * 4 * 4),
        ("kept", "copy", "f32→f32", 2 * 8 * 4 * 4),
    ]
    assert program.moved_in_loops("cast") == 7 * 384
    assert program.moved_in_loops("copy") == 7 * 256


def test_a_loop_of_unknown_length_is_told_and_runs_as_often_as_is_said():
    text = LOOP.replace(', backend_config={"known_trip_count":{"n":"7"}}', "")
    assert read_program(text).unknown_loops == 1
    assert read_program(text).flops == 1024
    assert read_program(text, rounds=5).flops == 5 * 1024


@pytest.mark.parametrize(
    ("line", "kind", "size", "groups"),
    [
        ("%g = f32[64]{0} all-gather(%a), replica_groups=[2,4]<=[8], dimensions={0}", "all-gather", 256,
         ((0, 1, 2, 3), (4, 5, 6, 7))),
        ("%g = f32[64]{0} all-gather(%a), replica_groups=[4,2]<=[2,4]T(1,0), dimensions={0}", "all-gather", 256,
         ((0, 4), (1, 5), (2, 6), (3, 7))),
        ("%g = f32[64]{0} all-gather(%a), replica_groups=mesh['x'=2,'y'=1,'z'=2] {'x'}, dimensions={0}", "all-gather",
         256, ((0, 2), (1, 3))),
        ("%g = f32[64]{0} all-gather(%a), replica_groups=mesh['x'=2,'y'=2] {'x','y'}", "all-gather", 256,
         ((0, 1, 2, 3),)),
        ("%g = f32[64]{0} all-gather(%a), replica_groups=mesh['x'=8] {'x':(2)2}", "all-gather", 256,
         ((0, 2), (1, 3), (4, 6), (5, 7))),
        ("%g = f32[4]{0} reduce-scatter(%a), replica_groups={{0,1}}, dimensions={0}, to_apply=%add", "reduce-scatter",
         64, ((0, 1),)),
        ("%g = (f32[16]{0}, f32[64]{0}) all-gather-start(%a), replica_groups={}", "all-gather", 256, ()),
        ("%g = ((f32[16]{0}), f32[4]{0}) reduce-scatter-start(%a), replica_groups={{0,1,2,3}}", "reduce-scatter", 64,
         ((0, 1, 2, 3),)),
        ("%g = f32[16]{0} all-reduce-start(%a), replica_groups={{3}}, to_apply=%add", "all-reduce", 64, ((3,),)),
        ("%g = (f32[16]{0}, f32[16]{0}, u32[], u32[]) collective-permute-start(%a), source_target_pairs={{0,1},{1,0}}",
         "collective-permute", 64, ((0, 1), (1, 0))),
        ("%g = bf16[16]{0:T(256)(2,1)S(1)} all-to-all(%a), replica_groups={{0,1}}", "all-to-all", 64, ((0, 1),)),
    ],
)  # fmt: skip
def test_collectives_in_every_spelling(line, kind, size, groups):
    program = read_program(entry("%a = f32[16]{0} parameter(0)", line, "%d = f32[16]{0} copy-done(%g)"))
    (found,) = program.collectives
    assert (found.kind, found.bytes, found.groups, found.in_loop) == (kind, size, groups, False)
    assert program.kernels == ()


def test_several_arrays_in_one_collective():
    program = read_program(
        entry(
            "%a = f32[16]{0} parameter(0)",
            "%b = bf16[4,2]{1,0} parameter(1)",
            "%g = (f32[16]{0}, bf16[4,2]{1,0}) all-reduce(%a, %b), replica_groups={{0,1}}, to_apply=%add",
        )
    )
    assert [(c.bytes, c.dtype) for c in program.collectives] == [(64 + 16, "f32")]


REDUCE_SCATTER = """
%all-reduce-scatter.1 (p: f32[16]) -> f32[4] {
  %p = f32[16]{0} parameter(0)
  %r = f32[16]{0} all-reduce(%p), replica_groups={{0,1,2,3}}, to_apply=%add
  %i = s32[] constant(0)
  ROOT %s = f32[4]{0} dynamic-slice(%r, %i), dynamic_slice_sizes={4}
}
"""


def test_a_reduce_scatter_of_a_tpu():
    program = read_program(
        entry(
            "%a = f32[16]{0} parameter(0)",
            "ROOT %f = f32[4]{0} fusion(%a), kind=kCustom, calls=%all-reduce-scatter.1",
            before=REDUCE_SCATTER,
        )
    )
    assert [(c.kind, c.bytes, c.groups) for c in program.collectives] == [
        ("reduce-scatter", 64, ((0, 1, 2, 3),))
    ]


GATHER = "all-gather(%p), channel_id=7, replica_groups={{0,1,2,3}}, dimensions={0}"
OVERLAPPED = f"""
%starting (p: f32[4]) -> (f32[4], f32[16]) {{
  %p = f32[4]{{0}} parameter(0)
  %g = f32[16]{{0}} {GATHER}
  ROOT %s = (f32[4]{{0}}, f32[16]{{0}}) custom-call(%g), custom_call_target="AsyncCollectiveStart"
}}

%meanwhile (p: f32[4], q: f32[16], x: f32[8,16], y: f32[16,4]) -> (f32[8,4], f32[16]) {{
  %p = f32[4]{{0}} parameter(0)
  %q = f32[16]{{0}} parameter(1)
  %x = f32[8,16]{{1,0}} parameter(2)
  %y = f32[16,4]{{1,0}} parameter(3)
  %c = f32[8,4]{{1,0}} convolution(%x, %y), dim_labels=bf_io->bf
  %g = f32[16]{{0}} {GATHER}
  ROOT %t = (f32[8,4]{{1,0}}, f32[16]{{0}}) tuple(%c, %q)
}}

%ending (p: f32[4], q: f32[16]) -> f32[16] {{
  %p = f32[4]{{0}} parameter(0)
  %q = f32[16]{{0}} parameter(1)
  %g = f32[16]{{0}} {GATHER}
  ROOT %d = f32[16]{{0}} custom-call(%p, %q, %g), custom_call_target="AsyncCollectiveDone"
}}
"""


def test_a_collective_behind_other_work_on_a_tpu():
    """Three fusions name it, and it runs once; the work between counts."""
    program = read_program(
        entry(
            "%a = f32[4]{0} parameter(0)",
            "%x = f32[8,16]{1,0} parameter(1)",
            "%y = f32[16,4]{1,0} parameter(2)",
            "%s = (f32[4]{0}, f32[16]{0}) fusion(%a), kind=kCustom, calls=%starting",
            "%b = f32[4]{0} get-tuple-element(%s), index=0",
            "%c = f32[16]{0} get-tuple-element(%s), index=1",
            "%m = (f32[8,4]{1,0}, f32[16]{0}) fusion(%b, %c, %x, %y), kind=kOutput, calls=%meanwhile",
            "%e = f32[16]{0} get-tuple-element(%m), index=1",
            "ROOT %d = f32[16]{0} fusion(%b, %e), kind=kCustom, calls=%ending",
            before=OVERLAPPED,
        )
    )
    assert [(c.kind, c.bytes, c.count) for c in program.collectives] == [("all-gather", 64, 1)]
    assert [(k.name, k.flops, k.bytes) for k in program.kernels] == [
        ("m", 2 * 8 * 16 * 4, 4 * (8 * 16 + 16 * 4 + 8 * 4))
    ]


# What a window of 3 places meets of a source of 4, with a place of padding at each side: 2, 3, 3 and 2 elements.
PRODUCTS = [
    ("%p = bf16[8,4]{1,0} dot(%a, %b), lhs_contracting_dims={1}, rhs_contracting_dims={0}", (8, 16), (16, 4), 1024),
    ("%p = f32[2,3,5]{2,1,0} dot(%a, %b), lhs_batch_dims={0}, lhs_contracting_dims={2}, rhs_batch_dims={0}, "
     "rhs_contracting_dims={1}", (2, 3, 7), (2, 7, 5), 2 * 2 * 3 * 5 * 7),
    ("%p = bf16[8,4]{1,0} convolution(%a, %b), dim_labels=bf_io->bf", (8, 16), (16, 4), 1024),
    # A batch of 6 products of 3×7 by 7×5, as a window that meets one element a place.
    ("%p = f32[6,3,5]{2,1,0} convolution(%a, %b), window={size=6 stride=5 pad=0_0 lhs_dilate=6}, "
     "dim_labels=0bf_0io->0bf", (6, 3, 7), (6, 7, 5), 2 * 6 * 3 * 5 * 7),
    ("%p = f32[1,4,5]{2,1,0} convolution(%a, %b), window={size=3 pad=1_1}, dim_labels=b0f_0io->b0f", (1, 4, 7),
     (3, 7, 5), 2 * 7 * 5 * (2 + 3 + 3 + 2)),
    ('%p = (bf16[8,4]{1,0}, s8[1024]{0}) custom-call(%a, %b), custom_call_target="__cublas$gemm", backend_config='
     '{"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"]}}}', (8, 16), (16, 4), 1024),
    ('%p = bf16[3,8,4]{2,1,0} custom-call(%a, %b), custom_call_target="__onednn$matmul"', (3, 8, 16), (3, 16, 4),
     3 * 1024),
]  # fmt: skip


@pytest.mark.parametrize(("line", "lhs", "rhs", "flops"), PRODUCTS)
def test_products_in_every_spelling(line, lhs, rhs, flops):
    a, b = (",".join(map(str, dims)) for dims in (lhs, rhs))
    program = read_program(
        entry(f"%a = bf16[{a}]{{0}} parameter(0)", f"%b = bf16[{b}]{{0}} parameter(1)", line)
    )
    assert program.flops == flops
    (kernel,) = program.kernels
    assert [(p.lhs.dims, p.rhs.dims) for p in kernel.products] == [(lhs, rhs)]


SLICING = """
%slicing (p0: f32[100,8], p1: s32[], p2: f32[100,8]) -> f32[100,8] {
  %p0 = f32[100,8]{1,0} parameter(0)
  %p1 = s32[] parameter(1)
  %p2 = f32[100,8]{1,0} parameter(2)
  %row = f32[1,8]{1,0} dynamic-slice(%p0, %p1, %p1), dynamic_slice_sizes={1,8}
  ROOT %set = f32[100,8]{1,0} dynamic-update-slice(%p2, %row, %p1, %p1)
}
"""


def test_of_what_is_sliced_or_updated_only_the_part_counts():
    program = read_program(
        entry(
            "%a = f32[100,8]{1,0} parameter(0)",
            "%i = s32[] parameter(1)",
            "ROOT %f = f32[100,8]{1,0} fusion(%a, %i, %a), kind=kLoop, calls=%slicing",
            before=SLICING,
        )
    )
    assert [k.bytes for k in program.kernels] == [32 + 4 + 0 + 32]


def test_what_a_tpu_keeps_near_is_no_traffic():
    program = read_program(
        entry(
            "%a = f32[16]{0:T(128)} parameter(0)",
            "%b = f32[16]{0:T(128)S(1)} add(%a, %a)",
            "ROOT %c = f32[16]{0:T(128)S(1)} multiply(%b, %b)",
        )
    )
    assert [(k.name, k.bytes) for k in program.kernels] == [("b", 2 * 64), ("c", 0)]


def test_what_is_no_program_is_refused():
    with pytest.raises(ValueError, match="ENTRY"):
        read_program("nothing")


# Real programs.


def test_a_loop_that_jax_compiled():
    def repeated(x, w):
        return jax.lax.scan(lambda c, _: (jnp.tanh(c @ w), None), x, None, length=5)[0]

    x, w = jnp.ones((64, 32)), jnp.ones((32, 32))
    program = read_program(jax.jit(repeated).lower(x, w).compile().as_text())
    assert program.flops == 5 * 2 * 64 * 32 * 32
    assert program.unknown_loops == 0
    assert program.collectives == ()


def test_the_products_of_a_train_step_are_those_of_the_formula():
    """By another rule: counted from the model's sizes."""
    c = T5Config(
        vocab_size=96, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_decoder_layers=2, num_heads=4, dropout_rate=0.0
    )  # fmt: skip
    model, rows, source, target = ToNER(c, jnp.float32, num_types=3), 4, 24, 10
    params = jax.eval_shape(registry.initializer(model), jax.random.key(0))
    ids, words = (jax.ShapeDtypeStruct((rows, n), np.int32) for n in (source, target))

    def loss(params, ids, words):
        pooled = jnp.ones(ids.shape)
        logits, types = model.apply({"params": params}, ids, pooled, shift_right(words), pooled, True)
        return jnp.square(logits).sum() + jnp.square(types).sum()

    program = read_program(jax.jit(jax.grad(loss)).lower(params, ids, words).compile().as_text())
    # The formula leaves out the type head, and counts half of the decoder's attention to itself.
    head = 3 * 2 * (c.d_model * c.d_model + c.d_model * 3)
    half = 3 * c.num_decoder_layers * 2 * target**2 * c.num_heads * c.d_kv
    assert program.flops == pytest.approx(rows * (training_flops(c, source, target) + head + half), rel=1e-9)


def eight_devices() -> dict[str, float]:
    """A product whose factor is gathered and whose gradient is summed, on eight devices."""
    from jax.sharding import AxisType, NamedSharding
    from jax.sharding import PartitionSpec as P

    mesh = jax.make_mesh((8,), ("rows",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, P("rows"))
    x, w = (jax.ShapeDtypeStruct(shape, jnp.float32, sharding=split) for shape in ((64, 16), (16, 48)))
    step = jax.jit(jax.grad(lambda w, x: jnp.square(x @ w).sum()), out_shardings=NamedSharding(mesh, P()))
    program = read_program(step.lower(w, x).compile().as_text())
    return {
        "flops": program.flops,
        "gathered": program.collective_bytes("all-gather"),
        "reduced": program.collective_bytes("all-reduce"),
        "group": max(len(group) for c in program.collectives for group in c.groups or ()),
    }


def test_collectives_of_a_program_for_eight_devices():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, __file__], env={**os.environ, **flags}, capture_output=True, text=True, check=True
    )
    size = 16 * 48 * 4
    assert json.loads(done.stdout) == {
        "flops": 2 * 2 * 8 * 16 * 48, "gathered": size, "reduced": size, "group": 8,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(eight_devices()))
