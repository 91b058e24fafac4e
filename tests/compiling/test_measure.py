"""A roofline by hand, figures in a straight line, and what a report says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from toner_jax.compiling.measure import Measured, Result, extrapolated
from toner_jax.compiling.models import depth, model_config, types_of, with_depth
from toner_jax.compiling.pieces import PlainPieces
from toner_jax.compiling.programs import Planned
from toner_jax.compiling.report import Setting, make_report
from toner_jax.compiling.roofline import Machine, roofline
from toner_jax.compiling.table import table, write_picture
from toner_jax.compiling.targets import Target
from toner_jax.config import base, set_flan
from toner_jax.errors import UserError
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.flops import forward_flops
from toner_jax.models.t5.config import T5Config
from toner_jax.parallel.hlo import read_program
from toner_jax.parallel.peak import Figures
from toner_jax.text.ids import WordIds

CARD = Figures(flops=1e12, wide_flops=5e11, bandwidth=1e9, link=1e8, memory=1000, network=2e7)

PROGRAM = """HloModule m

ENTRY %main (a: bf16[100,100]) -> bf16[100,100] {
  %a = bf16[1000,1000]{1,0} parameter(0)
  %b = f32[1000,1000]{1,0} parameter(1)
  %c = bf16[1000,1000]{1,0} dot(%a, %a), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  %d = f32[1000,1000]{1,0} dot(%b, %b), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  %e = f32[1000,1000]{1,0} add(%d, %d)
  %f = f32[1000,1000]{1,0} all-reduce(%e), replica_groups={{0,1}}, to_apply=%sum
  ROOT %g = f32[2000,1000]{1,0} all-gather(%f), replica_groups={{0,1}}, dimensions={0}
}
"""


def test_a_roofline_by_hand():
    """Products are 2·10⁹ FLOPs; the arrays 2 or 4 MB. Each kernel takes the longer of its two times."""
    compute_bound = replace(CARD, flops=1e11, wide_flops=5e10, bandwidth=1e12)
    bound = roofline(read_program(PROGRAM), Machine(compute_bound, [0, 0]))
    assert bound.kernels == pytest.approx(2e9 / 1e11 + 2e9 / 5e10 + 12e6 / 1e12)
    assert bound.collectives == pytest.approx((2 * 4e6 + 8e6) / 1e8)
    memory_bound = replace(CARD, flops=1e15, wide_flops=1e15)
    bound_by_memory = roofline(read_program(PROGRAM), Machine(memory_bound, [0, 0]))
    assert bound_by_memory.kernels == pytest.approx((6e6 + 12e6 + 12e6) / 1e9)
    assert bound.one_by_one == bound.kernels + bound.collectives
    assert bound.overlapped == max(bound.kernels, bound.collectives)


EXCHANGES = """HloModule m

ENTRY %main (a: f32[1000,1000]) -> f32[1000,1000] {
  %a = f32[1000,1000]{1,0} parameter(0)
  ROOT %b = f32[1000,1000]{1,0} KIND(%a), GROUPS, to_apply=%sum
}
"""


@pytest.mark.parametrize(
    ("kind", "groups", "seconds"),
    [
        # 4 MB, and 8 for an all-reduce; 0.1 GB/s within a host, 0.02 for each device between the two of four devices.
        ("all-reduce", "replica_groups={{0,1},{2,3},{4,5},{6,7}}", 8e6 / 1e8),
        ("all-reduce", "replica_groups={{0,1,2,3},{4,5,6,7}}", 8e6 / 1e8),
        # Half of it over four cards takes 0.05 s, less than within.
        ("all-reduce", "replica_groups={}", 8e6 / 1e8),
        ("all-reduce", "replica_groups={{0,4},{1,5},{2,6},{3,7}}", 8e6 / 2 / 2e7),
        ("all-reduce", "replica_groups={{0,1,4,5},{2,3,6,7}}", 8e6 / 2 / 2 / 2e7),
        ("all-reduce", "replica_groups={{0,1,2,4},{3,5,6,7}}", 8e6 / 2 / 2e7),
        ("collective-permute", "source_target_pairs={{0,1},{3,4}}", 4e6 / 2e7),
        ("collective-permute", "source_target_pairs={{0,1},{1,2}}", 4e6 / 1e8),
    ],
)
def test_what_joins_hosts_takes_the_network(kind, groups, seconds):
    program = read_program(EXCHANGES.replace("KIND", kind).replace("GROUPS", groups))
    found = roofline(program, Machine(CARD, [0] * 4 + [1] * 4)).collectives
    assert found == pytest.approx(seconds)
    assert roofline(program, Machine(CARD, [0] * 8)).collectives <= found


def measured(**figures: Any) -> Measured:
    every = dict.fromkeys(
        ("arguments", "outputs", "aliased", "temporaries", "code", "flops", "kernels", "casts", "copies", "repeated",
         "unknown_loops", "compile_seconds"), 0.0,
    )  # fmt: skip
    return Measured(**{**every, **figures})


def test_a_deep_model_from_two_shallow_programs():
    first = measured(
        arguments=100.0, kernels=10, unknown_loops=1, moved={"all-gather": 5.0}, kernel_seconds=1.0
    )
    second = measured(
        arguments=130.0, kernels=14, unknown_loops=1, moved={"all-gather": 7.0, "all-reduce": 2.0}, kernel_seconds=1.5
    )  # fmt: skip
    whole = extrapolated(first, second, (24 - 1) / (2 - 1))
    assert (whole.arguments, whole.kernels, whole.unknown_loops) == (100 + 23 * 30, 10 + 23 * 4, 1)
    assert whole.moved == {"all-gather": 5 + 23 * 2, "all-reduce": 23 * 2}
    assert whole.kernel_seconds == 1 + 23 * 0.5
    assert whole.collective_seconds is None


def setting(**changed: Any) -> Setting:
    made = Setting(
        config="here", target=Target("a100-80gb", 2), kind="A", platform="gpu", figures=CARD, mesh={"data": 2},
        preset="zero1", dtype="bfloat16", types=4, epoch={"generator": 7200.0}, epochs={"generator": 3.0},
    )  # fmt: skip
    return replace(made, **changed)


def planned(name: str = "generator 8×4", useful: float | None = 2e11) -> Planned:
    return Planned(name, 10, useful, 24, True, lambda sizes: None)  # type: ignore[arg-type, return-value]


def test_what_a_report_makes_of_the_figures(tmp_path):
    m = measured(
        arguments=500.0, outputs=450.0, aliased=440.0, temporaries=190.0, flops=1.2e11, kernel_seconds=0.5,
        collective_seconds=0.25, counts={"all-reduce": 3}, moved={"all-reduce": 7.0},
    )  # fmt: skip
    report = make_report(setting(price=4.0), [Result(planned(), m, compiled=(1, 2), growth=0.5)])
    (program,) = report["programs"]
    assert program["memory"]["bytes"] == 500 + 10 + 190
    assert program["fits"] == "yes"
    assert program["flops"]["total"] == 2.4e11
    bound = program["roofline"]
    # 2·10¹¹ useful FLOPs on two devices of 10¹² FLOP/s take a tenth of a second.
    assert bound["without_overlap"]["mfu"] == pytest.approx(0.1 / 0.75)
    assert bound["with_overlap"]["mfu"] == pytest.approx(0.1 / 0.5)
    assert bound["with_overlap"]["examples_per_second"] == pytest.approx(20)
    assert bound["with_overlap"]["hours_an_epoch"] == pytest.approx(7200 / 20 / 3600)
    assert bound["with_overlap"]["hours"] == pytest.approx(3 * 0.1)
    assert bound["with_overlap"]["cost"] == pytest.approx(3 * 0.1 * 2 * 4)
    said = " ".join(report["assumptions"])
    words = (
        "lower bounds, no measurements",
        "1 and 2 layers",
        "75%",
        "twice the batch",
        "4 an hour for each of 2",
    )
    for word in words:
        assert word in said
    assert table(report).row_count > 10
    write_picture(report, tmp_path / "fits.png")
    assert (tmp_path / "fits.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("memory", "platform", "fits"),
    [
        (750, "gpu", "yes"), (751, "gpu", "XLA_PYTHON_CLIENT_MEM_FRACTION=0.95"), (951, "gpu", "no"),
        (1000, "tpu", "yes"), (1001, "tpu", "no"),
    ],
)  # fmt: skip
def test_who_fits(memory, platform, fits):
    result = Result(planned(), measured(arguments=float(memory)))
    assert make_report(setting(platform=platform), [result])["programs"][0]["fits"] == fits


def test_what_the_compiler_refuses_does_not_fit():
    report = make_report(setting(), [Result(planned(), None, "out of memory on the device")])
    assert report["programs"][0]["fits"] == "no"
    assert report["assumptions"][0] == "generator 8×4: out of memory on the device."
    assert table(report).row_count >= 2


def test_a_device_without_figures_has_no_roofline():
    report = make_report(setting(figures=None), [Result(planned(), measured(arguments=1.0))])
    assert report["programs"][0]["roofline"] is None
    assert "no roofline" in report["assumptions"][0]
    assert table(report).row_count > 3


def test_models_by_their_published_sizes():
    config = base()
    assert model_config(config, "generator") == T5Config.flan("large")
    assert model_config(config, "matcher") == BertConfig.gte("large")
    set_flan(config, "xxl")
    assert model_config(config, "generator") == T5Config.flan("xxl")
    config.generator.checkpoint = ""
    assert model_config(config, "generator").d_model == config.generator.model.d_model
    config.generator.checkpoint = "nobody/nothing"
    with pytest.raises(
        UserError, match=r"generator\.checkpoint=nobody/nothing: no folder, .*google/flan-t5-"
    ):
        model_config(config, "generator")


def test_depths():
    assert depth(T5Config.flan("xl")) == 24
    assert depth(T5Config(num_layers=8, num_decoder_layers=6)) is None
    assert with_depth(T5Config.flan("xl"), 2) == replace(
        T5Config.flan("xl"), num_layers=2, num_decoder_layers=2
    )
    assert with_depth(BertConfig.gte("large"), 3).num_hidden_layers == 3


def test_types_of_a_configuration():
    config = base()
    config.data.name = "ontonotes"
    assert len(types_of(config, None).types) == 18
    assert len(types_of(config, 5).types) == 5
    config.data.name = "custom"
    with pytest.raises(UserError, match="say how many there are"):
        types_of(config, None)


def test_any_grammar_can_be_spelled_without_a_vocabulary():
    ids = WordIds(PlainPieces())
    assert ids.decode(ids.glued("work of art")) == "work of art"
    assert ids.decode(ids.items([("person", ["Ada", "Lovelace"])])) == "[(person, Ada Lovelace)]"


def test_the_compute_of_an_encoder():
    """One layer of width 2, inner width 3, 5 positions, product by product."""
    sizes = BertConfig(hidden_size=2, intermediate_size=3, num_hidden_layers=1)
    attention = 4 * 2 * 5 * 2 * 2 + 2 * (2 * 5 * 5 * 2)
    assert forward_flops(sizes, 5) == attention + 2 * (2 * 5 * 2 * 3)
