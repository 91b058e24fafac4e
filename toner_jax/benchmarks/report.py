"""The figures of `toner-jax bench decode` as a table, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich import box
from rich.table import Table

from toner_jax.common.console import cell

Cell = Callable[[dict[str, Any]], str]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _settings(c: dict[str, Any]) -> str:
    """Rows at a time, workers, and threads of each."""
    return " × ".join(str(n) for n in c["setting"].values())


_COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("batch", _settings),
    ("sentences/s", lambda c: _number(c["sentences_per_second"]["median"], ",.0f")),
    ("best", lambda c: _number(c["sentences_per_second"]["best"], ",.0f")),
    ("p50 ms", lambda c: _number(c["latency_ms"]["p50"], ".1f")),
    ("p95 ms", lambda c: _number(c["latency_ms"]["p95"], ".1f")),
    ("passes", lambda c: _number(c["passes_per_sentence"], ".1f")),
    ("ms/pass", lambda c: _number(c["ms_per_pass"], ".2f")),
    ("CPU ms", lambda c: _number(c["cpu_ms_per_sentence"], ".2f")),
    ("identical", lambda c: _number(c["identical_to_greedy"], ".1%")),
    ("F1", lambda c: _number(c["strict_f1"], ".4f")),
)


def _columns(report: dict[str, Any]) -> tuple[tuple[str, Cell], ...]:
    """The fixed ones, and one for each rival that was measured."""
    rivals = report["contenders"][0]["times_as_fast_as"]

    def against(name: str) -> Cell:
        return lambda c: _number(c["times_as_fast_as"][name], ".2f") + "×"

    return (*_COLUMNS, *((f"/ {name}", against(name)) for name in rivals))


def table(report: dict[str, Any]) -> Table:
    """For a terminal."""
    columns = _columns(report)
    out = Table(title=cell(_summary(report), "italic"), caption="\n".join(report["left_out"]), box=box.SIMPLE)
    out.add_column("", no_wrap=True)
    for header, _ in columns:
        out.add_column(header.replace("-", "\n"), justify="right", no_wrap=True)
    for contender in report["contenders"]:
        out.add_row(contender["name"], *(cell(contender) for _, cell in columns))
    return out


def markdown(report: dict[str, Any]) -> str:
    """A page's section: the table, and what it was measured with."""
    columns = _columns(report)
    lines = [
        f"## {_summary(report)}",
        "",
        "| | " + " | ".join(header for header, _ in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for c in report["contenders"]:
        lines.append(f"| {c['title']} | " + " | ".join(cell(c) for _, cell in columns) + " |")
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    model = report["model"]
    encoder, decoder = model["layers"]
    lines += [
        "",
        f"A generator of {model['parameters']:,} parameters ({encoder} + {decoder} layers, width {model['d_model']}, "
        f"{model['vocabulary']:,} pieces); prompts of {report['data']['source_tokens']:.0f} pieces on average. "
        f"{report['system']}, {report['cpus']} CPUs, {report['threads']} threads for each; medians of "
        f"{report['rounds']} rounds, latencies of {report['requests']} requests. {versions}.",
        *report["left_out"],
        "",
        "```",
        report["command"],
        "```",
    ]
    return "\n".join(lines) + "\n"


def _summary(report: dict[str, Any]) -> str:
    data = report["data"]
    return f"Decoding {data['sentences']:,} sentences of {data['name']} {data['split']}"
