"""Texts with their entities marked, for notebooks and for terminals without colours."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toner_jax.common.console import printable

Span = Mapping[str, Any]  # {"start", "end", "label"}, and a "score" where it has one

_MARK = "padding:.12rem .25rem;border-radius:.25rem;color:#1c2530;background:hsl({hue} 75% 82%)"
_LABEL = "margin-left:.25rem;font-size:.68rem;opacity:.8;white-space:nowrap"
_TEXT = "line-height:2.1;white-space:pre-wrap;unicode-bidi:plaintext;margin:.4rem 0"


def in_brackets(text: str, spans: Sequence[Span]) -> str:
    """The text with its entities as `[text](label)`; what lies in another is within its brackets."""
    marks = sorted(
        [(s["end"], 0, -s["start"], f"]({s['label']})") for s in spans]
        + [(s["start"], 1, -s["end"], "[") for s in spans]
    )
    parts, at = [], 0
    for place, _closes, _other, mark in marks:
        parts += [text[at:place], mark]
        at = place
    return "".join([*parts, text[at:]])


def as_html(text: str, spans: Sequence[Span], labels: Sequence[str]) -> str:
    """The text as HTML with its entities coloured by label, as the pages of reports colour them. They nest where they
    can; one that crosses another's end is continued after it.

    Args:
      labels: all there are: the order gives the colours.
    """
    hues = {label: round(360 * i / len(labels) + 200) % 360 for i, label in enumerate(labels)}

    def fill(start: int, end: int, inside: Sequence[tuple[int, int, Span]]) -> str:
        parts, at, rest = [], start, sorted(inside, key=lambda item: (item[0], -item[1]))
        while rest:
            (first, last, span), rest = rest[0], rest[1:]
            last = min(last, end)
            within = [(a, b, s) for a, b, s in rest if a < last]
            crossing = [(last, b, s) for a, b, s in within if b > last]
            parts += [html.escape(text[at:first]), _open(span), fill(first, last, within), _close(span)]
            at = last
            rest = sorted(
                [*crossing, *(item for item in rest if item[0] >= last)], key=lambda item: (item[0], -item[1])
            )
        return "".join([*parts, html.escape(text[at:end])])

    def _open(span: Span) -> str:
        score = f' title="score {span["score"]:.3f}"' if "score" in span else ""
        return f'<mark style="{_MARK.format(hue=hues[span["label"]])}"{score}>'

    def _close(span: Span) -> str:
        return f'<small style="{_LABEL}">{html.escape(span["label"])}</small></mark>'

    text = re.sub("[\ud800-\udfff]", "\ufffd", text)  # halves of characters have no place in a page
    body = fill(0, len(text), [(s["start"], s["end"], s) for s in spans])
    return f'<div style="{_TEXT}">{body}</div>'


@dataclass(frozen=True)
class Shown:
    """Texts and what was found in them: coloured in a notebook, in brackets elsewhere.

    Attributes:
      entities: of each text, as `Ner.predict` gives them.
      labels: all that were looked for.
    """

    texts: Sequence[str]
    entities: Sequence[Sequence[Span]]
    labels: Sequence[str]

    def _repr_html_(self) -> str:
        pairs = zip(self.texts, self.entities, strict=True)
        return "".join(as_html(text, spans, self.labels) for text, spans in pairs)

    def __repr__(self) -> str:
        pairs = zip(self.texts, self.entities, strict=True)
        lines = (line for text, spans in pairs for line in in_brackets(text, spans).split("\n"))
        return "\n".join(map(printable, lines))
