"""The figures of `toner-jax bench decode` as a table, for a terminal and for a page."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from toner_jax.benchmarks.machine import described
from toner_jax.benchmarks.tables import Cell, number, page_section, terminal_table, versions


def _settings(c: dict[str, Any]) -> str:
    """Rows at a time, workers, and threads of each."""
    return " × ".join(str(n) for n in c["setting"].values())


_COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("batch", _settings),
    ("sentences/s", lambda c: number(c["sentences_per_second"]["median"], ",.0f")),
    ("best", lambda c: number(c["sentences_per_second"]["best"], ",.0f")),
    ("p50 ms", lambda c: number(c["latency_ms"]["p50"], ".1f")),
    ("p95 ms", lambda c: number(c["latency_ms"]["p95"], ".1f")),
    ("passes", lambda c: number(c["passes_per_sentence"], ".1f")),
    ("ms/pass", lambda c: number(c["ms_per_pass"], ".2f")),
    ("CPU ms", lambda c: number(c["cpu_ms_per_sentence"], ".2f")),
    ("identical", lambda c: number(c["identical_to_greedy"], ".1%")),
    ("F1", lambda c: number(c["strict_f1"], ".4f")),
)


def _columns(report: dict[str, Any]) -> tuple[tuple[str, Cell], ...]:
    """The fixed ones, and one for each rival that was measured."""
    rivals = report["contenders"][0]["times_as_fast_as"]

    def against(name: str) -> Cell:
        return lambda c: number(c["times_as_fast_as"][name], ".2f") + "×"

    return (*_COLUMNS, *((f"/ {name}", against(name)) for name in rivals))


def table(report: dict[str, Any]) -> Table:
    """For a terminal."""
    return terminal_table(_summary(report), _columns(report), report, report["left_out"])


def markdown(report: dict[str, Any]) -> str:
    """A page's section: the table, and what it was measured with."""
    model = report["model"]
    encoder, decoder = model["layers"]
    notes = [
        f"A generator of {model['parameters']:,} parameters ({encoder} + {decoder} layers, width {model['d_model']}, "
        f"{model['vocabulary']:,} pieces); prompts of {report['data']['source_tokens']:.0f} pieces on average. "
        f"{described(report)}; medians of {report['rounds']} rounds, latencies of {report['requests']} requests. "
        f"{versions(report)}.",
        *report["left_out"],
    ]
    return page_section(_summary(report), _columns(report), report, notes)


def _summary(report: dict[str, Any]) -> str:
    data = report["data"]
    return f"Decoding {data['sentences']:,} sentences of {data['name']} {data['split']}"
