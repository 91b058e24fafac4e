"""The figures of `toner-jax bench train` as a table, for a terminal and for a page."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from toner_jax.benchmarks.machine import described
from toner_jax.benchmarks.tables import Cell, number, page_section, ratio_cell, terminal_table, versions


def _gib(count: int | None) -> str:
    return number(None if count is None else count / 2**30, ".2f")


_COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("step ms", lambda c: number(c["step_ms"]["median"], ",.1f")),
    ("best", lambda c: number(c["step_ms"]["best"], ",.1f")),
    ("examples/s", lambda c: number(c["examples_per_second"], ",.1f")),
    ("tokens/s", lambda c: number(c["tokens_per_second"], ",.0f")),
    ("TFLOP/s", lambda c: number(c["flops_per_second"] / 1e12, ",.3g")),
    ("MFU", lambda c: number(c["mfu"], ".1%")),
    ("of real tokens", lambda c: number(c["real_mfu"], ".1%")),
    ("memory GiB", lambda c: _gib(c["peak_bytes"])),
    ("planned", lambda c: _gib(c["planned_bytes"])),
)


def _columns(report: dict[str, Any]) -> tuple[tuple[str, Cell], ...]:
    """The fixed ones, and one for each rival that was measured."""
    rivals = report["contenders"][0]["times_as_fast_as"]

    def against(name: str) -> Cell:
        def cell(contender: dict[str, Any]) -> str:
            return ratio_cell(contender["times_as_fast_as"][name])

        return cell

    return (*_COLUMNS, *((f"/ {name}", against(name)) for name in rivals))


def table(report: dict[str, Any]) -> Table:
    """For a terminal."""
    notes = [_compilation(report), *_fastest(report), *_checked(report), *report["left_out"]]
    return terminal_table(_summary(report), _columns(report), report, notes)


def markdown(report: dict[str, Any]) -> str:
    """A page's section: the table, and what it was measured with."""
    model, data, peak = report["model"], report["data"], report["peak"]
    encoder, decoder = model["layers"]
    shapes = ", ".join(f"{source}×{target}" for source, target in data["shapes"])
    notes = [
        f"{model['parameters']:,} parameters ({encoder} + {decoder} layers, width {model['d_model']}), "
        f"{model['dtype']}, dropout {model['dropout']:g}, remat={model['remat']}"
        f"{', scanned layers' if model['scan_layers'] else ''}; {data['name']}, "
        f"{data['batch']} examples a step, shapes {shapes}, {data['source_tokens']:.0f} + "
        f"{data['target_tokens']:.0f} tokens on average, {data['padding_share']:.0%} padding. MFU of "
        f"{peak['flops'] / 1e12:,.3g} TFLOP/s ({peak['source']}; a matrix product: "
        f"{peak['measured_flops'] / 1e12:,.3g}). {described(report)}; medians of {report['rounds']} rounds of "
        f"{report['steps']} steps. {versions(report)}.",
        "",
        _compilation(report),
        *_fastest(report),
        *_checked(report),
        *report["left_out"],
    ]
    return page_section(_summary(report), _columns(report), report, notes)


def _summary(report: dict[str, Any]) -> str:
    model, data = report["model"], report["data"]
    return f"Training {model['parameters'] / 1e6:,.1f} M parameters on {data['name']}, {data['batch']} examples a step"


def _compilation(report: dict[str, Any]) -> str:
    """What no rate holds."""
    each = ", ".join(f"{c['name']} {c['ready_seconds']:.1f} s" for c in report["contenders"])
    return f"Before the first timed step (compilation of ours, first steps of PyTorch's): {each}."


def _fastest(report: dict[str, Any]) -> list[str]:
    """Which of PyTorch's attentions is the faster one, and the ratio to it."""
    ours, *others = report["contenders"]
    rivals = ours["times_as_fast_as"]
    peers = [c for c in others if c["name"] in rivals]
    if not peers or ours["name"] in rivals:
        return []
    best = min(peers, key=lambda c: c["step_ms"]["median"])
    ratio = rivals[best["name"]]
    return [
        f"The faster of PyTorch's is {best['name']}; {ours['name']} is {ratio['median']:.2f} times as fast "
        f"({ratio['least']:.2f} to {ratio['greatest']:.2f})."
    ]


def _checked(report: dict[str, Any]) -> list[str]:
    """How far the losses are apart."""
    check = report["check"]
    if check is None:
        return []
    steps = len(next(iter(check["losses"].values())))
    return [
        f"Losses of the first {steps} steps without dropout differ by at most {check['largest_difference']:.2g}."
    ]
