"""What a run shows when it ends: a table, and sentences with their entities."""

from __future__ import annotations

import json
from itertools import accumulate
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from toner_jax.common.console import cell, printable, show_rich
from toner_jax.evaluation.highlighting import in_brackets
from toner_jax.evaluation.report import SOURCES, notes

_COLORS = ("cyan", "magenta", "green", "yellow", "blue", "red")


def show_run(workdir: Path, console: Console | None = None, sentences: int = 6) -> None:
    """Prints the test report and a few of its sentences."""
    console = console or Console()
    colored = console.color_system is not None and not console.no_color
    report = json.loads((workdir / "report" / "test.json").read_text(encoding="utf-8"))
    show_rich(result_table(report), console)
    shown = 0
    with (workdir / "predictions" / "test.jsonl").open(encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            if entry["predicted"] and shown < sentences:
                types = tuple(report["per_type"])
                show_rich(highlight(entry, types) if colored else bracketed(entry), console)
                shown += 1
    show_rich(cell(""), console)
    show_rich(cell(f"reports, predictions and checkpoints: {workdir}"), console)


def result_table(report: dict[str, Any]) -> Table:
    """Headline, parts and baselines of one report."""
    title = f"{report['split']}: {report['sentences']:,} sentences, {report['entities']:,} entities"
    table = Table(title=cell(title, "italic"), caption_justify="left")
    table.add_column("")
    for name in ("precision", "recall", "F1"):
        table.add_column(name, justify="right")

    def row(label: str, scores: dict[str, float], style: str = "") -> None:
        counts = [scores[k] for k in ("tp", "fp", "fn") if k in scores]
        empty = bool(counts) and not any(counts)  # neither annotated nor found: there is nothing to score
        figures = ("–" if empty else f"{scores[k]:.4f}" for k in ("precision", "recall", "f1"))
        table.add_row(cell(label), *figures, style=style)

    row("strict spans", report["strict"], "bold")
    for name, scores in report["per_type"].items():
        row(f"  {name}", scores)
    row("strings seen in training", report["seen_in_training"])
    row("strings never seen", report["unseen_in_training"])
    if "detokenized" in report:
        row(f"strict spans, as running text ({report['detokenized']['by']})", report["detokenized"])
    row("unique (type, string) pairs, as the paper counts", report["toner_compatible"])
    table.add_section()
    row("baseline: memorised mentions", report["baselines"]["memorised_mentions"], "dim")
    if "type_recognition" in report:
        row("types, by the generator", report["type_recognition"])
    if "types" in report:
        row("types of T′", report["types"])
        row("baseline: type prior", report["baselines"]["type_prior"], "dim")
    for source, scores in report.get("attribution", {}).items():
        errors = sum(scores["errors"].values())
        row(f"T′ {SOURCES[source]}: {errors:,} errors", scores, "dim")
    if "paper" in report:
        table.add_section()
        for result in report["paper"]["results"]:
            if result["model"].startswith("ToNER"):
                label = f"the paper's {result['model']}, Table {report['paper']['table']}"
                row(f"{label}: here {result['points_above']:+.2f} points", result, "dim")
    table.caption = cell(_caption(report), "dim italic")
    return table


def _caption(report: dict[str, Any]) -> str:
    """What is to be known of the figures."""
    ceiling = report["alignment_ceiling"]
    dropped = ", ".join(f"{n} {reason}" for reason, n in report["dropped"].items()) or "none"
    error = report["scores"]["ece"]["joint"]
    calibration = "" if error is None else f"; calibration error of the scores {error:.4f}"
    known = "".join(f"{note}; " for note in notes(report))
    return f"{known}alignment ceiling {ceiling:.4f}; dropped items: {dropped}{calibration}"


def bracketed(entry: dict[str, Any]) -> Text:
    """A sentence with its predicted entities as `[text](label)`, where there are no colours to tell them."""
    shown: Text = cell(f"• {in_brackets(entry['text'], entry['predicted'])}")
    return shown


def highlight(entry: dict[str, Any], types: tuple[str, ...]) -> Text:
    """A sentence with its predicted entities coloured and labelled; nested ones underlined."""
    # Escapes of a character are several: where each character of the text stands now.
    at = [0, *accumulate(len(printable(character)) for character in entry["text"])]
    text = cell(entry["text"])
    labels: list[tuple[int, str, str]] = []
    for span in entry["predicted"]:
        color = _COLORS[types.index(span["label"]) % len(_COLORS)]
        inside = any(
            o is not span and o["start"] <= span["start"] and span["end"] <= o["end"]
            for o in entry["predicted"]
        )
        text.stylize(f"underline {color}" if inside else f"bold {color}", at[span["start"]], at[span["end"]])
        labels.append((at[span["end"]], span["label"], color))
    out, begun = Text("• "), 0
    for end, label, color in sorted(labels, key=lambda item: item[0]):
        out.append_text(text[begun:end])
        out.append_text(cell(f" {label}", f"dim {color}"))
        begun = end
    out.append_text(text[begun:])
    return out
