"""The folds stage: T′ of training sentences from type matching models that never saw them.

The model that is trained on all of train has seen the sentences whose T′ the generator trains with: that T′ is cleaner
than any it will be given later. Here train is dealt into K folds of whole documents; a model trained on the others
matches each. What it finds against the annotation also tells where that may be wrong (`toner_jax.evaluation.suspects`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from toner_jax.common.console import say
from toner_jax.common.files import remove, write_atomically
from toner_jax.common.memory import told_of_memory
from toner_jax.data.carve import deal
from toner_jax.errors import UserError
from toner_jax.evaluation.scoring import type_counts
from toner_jax.evaluation.suspects import find_suspects
from toner_jax.parallel import processes
from toner_jax.pipeline.features import present_types
from toner_jax.runs import matcher
from toner_jax.runs.stage import Run
from toner_jax.runs.types_files import Matched, matched_at, read_matched, write_types
from toner_jax.runs.view import Reads, Settings
from toner_jax.schema import Sentence

FOLDER = "folds"
SUSPECTS = f"{FOLDER}/suspects.jsonl"

READS = Reads(
    result=(*matcher.READS.result, "types.folds", "types.top_k"),
    manner=matcher.READS.manner,
    selection=matcher.READS.selection,
)


class _Fold(NamedTuple):
    """One fold: its number, the sentences that its model sees, and those that it matches."""

    number: int
    seen: Sequence[Sentence]
    held_out: Sequence[Sentence]

    def path(self, workdir: Path) -> Path:
        """T′ of what is held out; there once the fold is done."""
        return workdir / FOLDER / f"{self.number}.jsonl"

    @property
    def training(self) -> str:
        """The folder of its training, which is removed once the fold is done."""
        return f"{FOLDER}/{self.number}"


def cross_fit(config: Settings, run: Run) -> dict[str, Any]:
    """Trains the folds that are not done yet, and writes T′ of train, a file a fold, and the suspect annotations.

    Returns:
      {"folds", "train", "suspects"}: how many there are, type P/R/F of T′ on train, and how many annotations are
      suspect.

    Raises:
      UserError: train has fewer documents, or sentences, than folds.
    """
    folds = _deal(run, config.types.folds, config.seed)
    for fold in folds:
        if processes.on_first(partial(_is_done, run, fold)):
            say(f"{fold.training}: complete, skipped")
        else:
            _fit(config, run, fold)
        processes.on_first(partial(remove, run.workdir / fold.training))
    return processes.on_first(lambda: _finish(run, folds))


def held_out_types(run: Run) -> Matched:
    """T′ and cosines of train, as the stage has written them.

    Raises:
      UserError: they are missing or damaged.
    """
    return read_matched(run.workdir / FOLDER / "train.jsonl", run.splits["train"], run.schema)


def read_suspects(workdir: Path) -> list[dict[str, Any]]:
    """The suspect annotations that the stage has written, the clearest first.

    Raises:
      UserError: the file is missing or damaged.
    """
    path = workdir / SUSPECTS
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); start the run again") from error


def _deal(run: Run, count: int, seed: int) -> list[_Fold]:
    train = run.splits["train"]
    of = deal(train, count, seed)
    return [
        _Fold(
            k,
            [s for s, fold in zip(train, of, strict=True) if fold != k],
            [s for s, fold in zip(train, of, strict=True) if fold == k],
        )
        for k in range(count)
    ]


def _is_done(run: Run, fold: _Fold) -> bool:
    path = fold.path(run.workdir)
    try:
        read_matched(path, fold.held_out, run.schema)
    except UserError:
        return False
    return True


def _fit(config: Settings, run: Run, fold: _Fold) -> None:
    """Trains a fold's model and writes T′ of what it never saw, at the δ that it has itself."""
    schema, dev = run.schema, run.splits["dev"]
    step, _ = matcher.fit_matcher(config, run, fold.training, fold.seen)
    restored = matcher.restore_step(config, run, fold.training, step, config.eval.batch_size)
    model, params = restored.matcher, restored.params
    with told_of_memory(f"{fold.training}: T′", "lower eval.batch_size"):
        dev_rows = model.similarities(params, [s.words for s in dev], schema)
        rows = model.similarities(params, [s.words for s in fold.held_out], schema)
    delta, source = matcher.choose_delta(config, dev_rows, present_types(dev, schema))
    matched = matched_at(rows, schema, delta, config.types.top_k)
    if processes.is_first():
        write_types(fold.path(run.workdir), fold.held_out, matched, schema)
    f1 = type_counts(fold.held_out, matched.types).f1
    say(f"{fold.training}: δ = {delta:.4f} (from {source}); types of T′ on what it never saw: F1 {f1:.4f}")


def _finish(run: Run, folds: Sequence[_Fold]) -> dict[str, Any]:
    train, schema = run.splits["train"], run.schema
    matched = _together(run, folds)
    write_types(run.workdir / FOLDER / "train.jsonl", train, matched, schema)
    suspects = find_suspects(train, matched.similarities, schema)
    lines = (json.dumps(suspect.to_json(), ensure_ascii=False) for suspect in suspects)
    write_atomically(run.workdir / SUSPECTS, "".join(f"{line}\n" for line in lines))
    counts = type_counts(train, matched.types)
    say(
        f"{FOLDER}: T′ of {len(train):,} sentences by models that never saw them: F1 {counts.f1:.4f}; "
        f"{len(suspects):,} suspect annotations in {SUSPECTS}"
    )
    scores = {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1}
    return {"folds": len(folds), "train": scores, "suspects": len(suspects)}


def _together(run: Run, folds: Sequence[_Fold]) -> Matched:
    """T′ of train, in its order, from the files of the folds."""
    by_id: dict[str, tuple[tuple[str, ...], Sequence[float]]] = {}
    for fold in folds:
        found = read_matched(fold.path(run.workdir), fold.held_out, run.schema)
        pairs = zip(found.types, found.similarities, strict=True)
        by_id |= dict(zip((s.id for s in fold.held_out), pairs, strict=True))
    rows = [by_id[s.id] for s in run.splits["train"]]
    return Matched([types for types, _ in rows], [cosines for _, cosines in rows])
