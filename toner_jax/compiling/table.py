"""The report for a terminal, and as a picture of what fits where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from toner_jax.common import console
from toner_jax.common.figures import new_figure, save_figure
from toner_jax.parallel.peak import memories

Cell = Callable[[dict[str, Any]], str]


def table(report: dict[str, Any]) -> Table:
    """A column for each program, a row for each figure."""
    devices = report["devices"]
    hosts = f" on {devices['hosts']} hosts" if devices["hosts"] > 1 else ""
    mesh = ", ".join(f"{axis}={size}" for axis, size in report["mesh"].items())
    title = (
        f"{report['config']} on {devices['count']} × {devices['kind']}{hosts}: {mesh}, sharding {report['sharding']}, "
        f"{report['dtype']}, {report['types']} types"
    )
    out = Table(title=console.cell(title, "italic"), box=box.SIMPLE)
    out.add_column("a device and step", no_wrap=True)
    for program in report["programs"]:
        out.add_column(program["name"], justify="right", no_wrap=True)
    for name, cell in _ROWS:
        cells = [_shown(cell, program) for program in report["programs"]]
        if any(cells):
            out.add_row(name, *cells)
    return out


def _shown(cell: Cell, program: dict[str, Any]) -> str:
    """A figure, or nothing where there is none: of a program that was refused, or of a device that is not known."""
    try:
        return cell(program)
    except (KeyError, TypeError):
        return ""


def _collectives(kind: str) -> Cell:
    def cell(program: dict[str, Any]) -> str:
        found = program["collectives"].get(kind)
        return f"{found['count']:,.0f}, {console.in_bytes(found['bytes'])}" if found else ""

    return cell


def _overlap(name: str, form: str) -> Cell:
    """A figure without and with overlap; nothing of a program that does not fit."""

    def cell(program: dict[str, Any]) -> str:
        if program["fits"] == "no":
            return ""
        bound = program["roofline"]
        return " / ".join(format(bound[way][name], form) for way in ("without_overlap", "with_overlap"))

    return cell


def _time(name: str) -> Cell:
    """Hours without and with overlap, in units that show them."""

    def cell(program: dict[str, Any]) -> str:
        if program["fits"] == "no":
            return ""
        seconds = [3600 * program["roofline"][way][name] for way in ("without_overlap", "with_overlap")]
        unit, size = next(((u, n) for u, n in (("h", 3600), ("min", 60)) if seconds[0] >= 1.5 * n), ("s", 1))
        return " / ".join(f"{s / size:.3g}" for s in seconds) + f" {unit}"

    return cell


_KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
_ROWS: tuple[tuple[str, Cell], ...] = (
    ("examples, over all devices", lambda p: f"{p['examples']:,}"),
    ("fits", lambda p: p["fits"]),
    ("memory", lambda p: console.in_bytes(p["memory"]["bytes"])),
    ("  arguments", lambda p: console.in_bytes(p["memory"]["arguments"])),
    ("  temporaries", lambda p: console.in_bytes(p["memory"]["temporaries"])),
    ("  code", lambda p: console.in_bytes(p["memory"]["code"]) if p["memory"]["code"] else ""),
    ("useful TFLOP, over all devices", lambda p: f"{p['flops']['useful'] / 1e12:,.4g}"),
    ("computed TFLOP, over all devices", lambda p: f"{p['flops']['total'] / 1e12:,.4g}"),
    ("  most products", lambda p: _products(p, 0)),
    ("  next", lambda p: _products(p, 1)),
    ("  next", lambda p: _products(p, 2)),
    ("kernels", lambda p: f"{p['kernels']:,.0f}"),
    *((f"{kind}: calls, bytes", _collectives(kind)) for kind in _KINDS),
    ("collectives with twice the batch", lambda p: f"{p['collectives_grow']:+.1%}"),
    ("collectives in loops", lambda p: console.in_bytes(p["in_loops"]["collectives"])),
    ("casts in loops", lambda p: console.in_bytes(p["in_loops"]["casts"])),
    ("copies in loops", lambda p: console.in_bytes(p["in_loops"]["copies"])),
    ("roofline of kernels", lambda p: f"{1e3 * p['roofline']['kernels_seconds']:,.2f} ms"),
    ("roofline of collectives", lambda p: f"{1e3 * p['roofline']['collectives_seconds']:,.2f} ms"),
    ("MFU at most, without / with overlap", _overlap("mfu", ".1%")),
    ("examples/s at most", _overlap("examples_per_second", ",.0f")),
    ("samples an epoch, epochs", lambda p: f"{p['samples_an_epoch']:,.0f}, {p['epochs']:g}"),
    ("time of an epoch at least", _time("hours_an_epoch")),
    ("time of all epochs at least", _time("hours")),
    ("cost of all epochs at least", _overlap("cost", ",.2f")),
    ("compiled in", lambda p: f"{p['compile_seconds']:,.0f} s"),
)


def _products(program: dict[str, Any], place: int) -> str:
    found = sorted(program["flops"]["by_dtypes"].items(), key=lambda item: -item[1])
    if place >= len(found):
        return ""
    name, flops = found[place]
    return f"{name} {flops / max(program['flops']['total'], 1):.1%}"


def _memories(share: float) -> dict[int, str]:
    """On which devices JAX takes how many GB; `share`, of a GPU's."""
    found: dict[int, list[str]] = {}
    for name, size in memories().items():
        found.setdefault(round(size / 1e9 * (1 if name.startswith("TPU") else share)), []).append(name)
    return {size: ", ".join(names) for size, names in found.items()}


def write_picture(report: dict[str, Any], path: Path) -> None:
    """Draws the memory of each program beside what devices have; the name's suffix says in which form."""
    programs = [p for p in report["programs"] if "memory" in p]
    figure = new_figure(7.5, 1.4 + 0.5 * len(programs))
    axes = figure.add_subplot()
    names = [p["name"] for p in programs]
    arguments = [p["memory"]["arguments"] / 1e9 for p in programs]
    rest = [(p["memory"]["bytes"] - p["memory"]["arguments"]) / 1e9 for p in programs]
    axes.barh(names, arguments, color="#1f4e79", label="arguments: state and batch")
    axes.barh(names, rest, left=arguments, color="#9fb8d0", label="temporaries and the rest")
    axes.invert_yaxis()
    devices = report["devices"]
    largest = max([a + b for a, b in zip(arguments, rest, strict=True)], default=1.0)
    reach = 1.1 * max(largest, (devices["memory_bytes"] or 0) / 1e9)
    lines = [
        (float(size), held) for size, held in sorted(_memories(devices["share"]).items()) if size < reach
    ]
    for i, (size, held) in enumerate(lines):
        axes.axvline(size, color="#c2410c", linewidth=1, linestyle=":")
        # In two rows, as some lie close together.
        where = axes.get_xaxis_transform()
        axes.text(size, 1.03 + 0.12 * (i % 2), held, transform=where, ha="center", fontsize=7)
    axes.set_xlim(0, reach)
    axes.set_xlabel(
        f"GB a device, of {devices['count']} × {devices['kind']}\nlines: what JAX takes of one device's memory"
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    save_figure(figure, path)
