"""A component of spaCy's pipelines: `nlp.add_pipe("toner_jax", config={"model": …})`.

It adds what does not overlap to `doc.ents`, the likelier first, and sets `doc.spans["toner_jax"]`, of the component's
name, to all, nested ones too, with their scores in `.attrs["scores"]`. An entity that ends inside a token of spaCy's
takes the whole token.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup

from toner_jax.api import Ner
from toner_jax.errors import UserError
from toner_jax.parallel.runtime import set_up_compilation

NAME = "toner_jax"


@Language.factory(
    NAME,
    assigns=["doc.ents", "doc.spans"],
    default_config={
        "model": None,
        "threshold": None,
        "type_threshold": None,
        "labels": None,
        "overwrite_ents": False,
    },
)
def make(
    nlp: Language,
    name: str,
    model: str | None,
    threshold: float | None,
    type_threshold: float | None,
    labels: dict[str, str] | list[str] | None,
    overwrite_ents: bool,
) -> Component:
    """The component of a pipeline.

    Args:
      name: the component's, which is also where all entities are in `doc.spans`.
      model: what `toner_jax.load` takes.
      threshold, type_threshold, labels: as for `Ner.predict`.
      overwrite_ents: whether entities of components before this one give way where they overlap its own, or its own do.

    Raises:
      UserError: no model is named, or there is none.
    """
    if not model:
        raise UserError(f'name a model: nlp.add_pipe("{NAME}", config={{"model": "runs/…"}})')
    options = {"threshold": threshold, "type_threshold": type_threshold, "labels": labels}
    return Component(name, model, options, overwrite_ents)


class Component:
    """Finds the entities of docs, many at a time."""

    def __init__(self, name: str, model: str, options: dict[str, Any], overwrite_ents: bool = False):
        set_up_compilation()
        self._made_of = name, model, options, overwrite_ents
        self._key, self._ner, self._options, self._overwrites = name, Ner(model), options, overwrite_ents
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        return Component, self._made_of  # another process loads the model for itself

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of the entities that it looks for."""
        return self._ner.labels(self._options["labels"])

    def __call__(self, doc: Doc) -> Doc:
        return next(self.pipe([doc]))

    def pipe(self, docs: Iterable[Doc], batch_size: int = 128) -> Iterator[Doc]:
        """Of a stream of docs, so many at a time.

        Raises:
          UserError: in a process that was forked from the one that loaded the model: JAX would wait there for ever.
        """
        if os.getpid() != self._process:
            raise UserError(
                "JAX does not survive a fork, so that nlp.pipe(…, n_process=…) would never end: leave n_process at 1 "
                "(the model uses all cores), or have multiprocessing start its processes by spawn"
            )
        waiting = iter(docs)
        while group := list(islice(waiting, batch_size)):
            found = self._ner.predict([doc.text for doc in group], **self._options)
            for doc, entities in zip(group, found, strict=True):
                self._set(doc, entities)
                yield doc

    def _set(self, doc: Doc, entities: Iterable[Any]) -> None:
        spans: dict[tuple[int, int, str], tuple[Span, float]] = {}
        for entity in entities:
            span = doc.char_span(entity.start, entity.end, label=entity.label, alignment_mode="expand")
            if span is None:  # of no token
                continue
            key = span.start, span.end, entity.label
            if key not in spans or entity.score > spans[key][1]:  # two may take the same tokens
                spans[key] = span, entity.score
        scored = list(spans.values())
        doc.spans[self._key] = SpanGroup(
            doc,
            name=self._key,
            spans=[s for s, _ in scored],
            attrs={"scores": [score for _, score in scored]},
        )
        own = [span for span, _ in sorted(scored, key=lambda item: -item[1])]
        before = list(doc.ents)
        kept: list[Span] = []
        for span in [*own, *before] if self._overwrites else [*before, *own]:
            if all(span.end <= other.start or other.end <= span.start for other in kept):
                kept.append(span)
        doc.set_ents(sorted(kept, key=lambda span: span.start))

    # A pipeline that is saved holds the component's settings, and with them where its model is.

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Nothing: the model stays where it is."""

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Component:
        """Itself, made from the settings."""
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """As `to_disk`."""
        return b""

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Component:
        """As `from_disk`."""
        return self
