"""The report's pictures, as SVG text, and a data set's. Colours are told apart by lightness as well as by hue."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from toner_jax.atoms import whole_words
from toner_jax.common.figures import save_figure
from toner_jax.schema import Schema, Sentence

_STYLE = {
    "font.size": 10,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888",
    "axes.labelcolor": "#333",
    "xtick.color": "#555",
    "ytick.color": "#555",
    "svg.fonttype": "none",
    "svg.hashsalt": "toner_jax",  # the same figures give the same bytes
}
_DARK, _LIGHT, _ACCENT = "#1f4e79", "#9fb8d0", "#c2410c"


def training_curves(entries: Sequence[dict[str, Any]], stage: str, score: str, label: str) -> str | None:
    """Loss and dev score by step of one stage, from the lines of metrics.jsonl; None without any."""
    losses = [(e["step"], e["loss"]) for e in entries if e["stage"] == stage and "loss" in e]
    scores = [(e["step"], e[score]) for e in entries if e["stage"] == stage and score in e]
    if not losses:
        return None
    with _figure(5.2, 2.9) as (figure, axes):
        (line,) = axes.plot(*zip(*losses, strict=True), color=_LIGHT, label="training loss")
        axes.set_xlabel("step")
        axes.set_ylabel("training loss")
        axes.set_ylim(bottom=0)
        lines = [line]
        if scores:
            right = axes.twinx()
            right.spines["right"].set_visible(True)
            lines += right.plot(
                *zip(*scores, strict=True), color=_DARK, marker="o", markersize=3, label=label
            )
            right.set_ylim(0, 1)
            right.set_ylabel(label)
        axes.legend(handles=lines, loc="center right", frameon=False)
        return _svg(figure)


def similarity_histogram(present: Sequence[float], absent: Sequence[float], type_threshold: float) -> str:
    """Cosines (Eq. 3) of types that occur in a sentence and of types that do not, and δ."""
    bins = np.linspace(min([*present, *absent, type_threshold, 0.0]), 1.0, 50)
    with _figure(5.2, 2.9) as (figure, axes):
        axes.hist(absent, bins=bins, density=True, color=_LIGHT, label="type absent")
        axes.hist(present, bins=bins, density=True, color=_DARK, alpha=0.75, label="type present")
        axes.axvline(type_threshold, color=_ACCENT, linestyle="--", label=f"δ = {type_threshold:.3f}")
        axes.set_xlabel("cosine of sentence and type description")
        axes.set_ylabel("density")
        axes.legend(frameon=False)
        return _svg(figure)


def score_curve(scores: Mapping[str, Any]) -> str | None:
    """Precision, recall and F1 by the least score of the entities that count; None without any.

    Args:
      scores: `scores` of a report: `curve`, `best` and `threshold` are read.
    """
    points = scores["curve"]
    if not points:
        return None
    with _figure(5.2, 2.9) as (figure, axes):
        # Below the lowest score nothing changes; each point holds from the score before it on.
        x = [0.0, *(p["threshold"] for p in points)]
        for name, color in (("precision", _LIGHT), ("recall", _ACCENT), ("f1", _DARK)):
            y = [p[name] for p in points]
            axes.step(x, [y[0], *y], where="pre", color=color, label="F1" if name == "f1" else name)
        best = scores["best"]
        label = f"best F1 {best['f1']:.3f}, at {best['threshold']:.2f}"
        axes.plot(best["threshold"], best["f1"], "o", color=_DARK, markersize=5, label=label)
        if scores["threshold"]:
            axes.axvline(scores["threshold"], color="#555", linestyle=":", label="decode.threshold")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("least score")
        axes.legend(loc="lower left", frameon=False)
        return _svg(figure)


def reliability_diagram(bins: Mapping[str, Sequence[Mapping[str, Any]]]) -> str | None:
    """How often predictions of each score are right; a point is the larger the more there are. None
    without any.

    Args:
      bins: those of `toner_jax.evaluation.calibration.reliability`, by "joint", "type" and "span".
    """
    if not any(b["count"] for b in bins["joint"]):
        return None
    with _figure(5.2, 2.9) as (figure, axes):
        axes.plot([0, 1], [0, 1], color="#888", linestyle="--", linewidth=1)
        for name, color, marker in (("joint", _DARK, "o"), ("type", _ACCENT, "^"), ("span", _LIGHT, "s")):
            known = [b for b in bins[name] if b["count"]]
            x, y = [b["confidence"] for b in known], [b["accuracy"] for b in known]
            most = max((b["count"] for b in known), default=1)
            areas = [6 + 60 * (b["count"] / most) ** 0.5 for b in known]
            axes.plot(x, y, color=color, linewidth=1)
            axes.scatter(x, y, areas, color=color, marker=marker, label=name)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.04)
        axes.set_xlabel("score")
        axes.set_ylabel("share that is right")
        legend = axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        for handle in legend.legend_handles:
            handle.set_sizes([20])
        return _svg(figure)


def dataset_picture(splits: Mapping[str, Sequence[Sentence]], schema: Schema, path: Path) -> None:
    """Entities by type and sentence lengths in words, by split, as an .svg or .png file.

    Raises:
      UserError: the file cannot be written.
    """
    colors = (_DARK, _LIGHT, _ACCENT)
    height = 1.2 + 0.3 * len(schema.types)
    with _figure(9.6, max(3.2, height), columns=2) as (figure, (left, right)):
        rows = np.arange(len(schema.types))
        bar = 0.8 / len(splits)
        for i, (split, sentences) in enumerate(splits.items()):
            types = [e.type for s in sentences for e in s.gold]
            counts = [types.count(name) for name in schema.names]
            left.barh(rows + (i - (len(splits) - 1) / 2) * bar, counts, bar, color=colors[i], label=split)
            lengths = [min(len(whole_words(s.words)), 80) for s in sentences]
            right.hist(lengths, bins=range(0, 85, 5), density=True, histtype="step", color=colors[i])
        left.set_yticks(rows, [name.replace("_", " ") for name in schema.names])
        left.invert_yaxis()
        left.set_xlabel("entities")
        left.legend(frameon=False)
        right.set_xlabel("words in a sentence (80: 80 or more)")
        right.set_ylabel("density")
        save_figure(figure, path)


@contextmanager
def _figure(width: float, height: float, columns: int = 1) -> Iterator[tuple[Any, Any]]:
    # Without pyplot, which would choose a window system for the whole process.
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(1, columns)


def _svg(figure: Any) -> str:
    """The figure as an <svg> element that scales with its container."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
