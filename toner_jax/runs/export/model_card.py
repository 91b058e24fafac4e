"""The model card of a folder of `save_pretrained`: what the model finds, what it was trained on, how good it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ml_collections import ConfigDict

from toner_jax.common.markdown import table
from toner_jax.evaluation.report import notes
from toner_jax.runs.workdir import read_report, split_path
from toner_jax.schema import Schema

CARD = "README.md"

_NUMBERS = ("precision", "recall", "F1")

_USE = """```python
import toner_jax

ner = toner_jax.load({name})
ner.predict(["…"])
```"""

_LIMITS = """* Spans are contiguous; nested ones can be found.
* It finds the types above. Others can be asked for by a description (`labels=`), as far as it has learnt to go by them.
* Scores are probabilities of what the model wrote, not of its being right; the run's report says how the two agree.
* Text of another kind, genre or language than it was trained on is read all the same, and found wanting."""

_CITATION = """Made with toner_jax. The method is ToNER: Type-oriented Named Entity Recognition with Generative Language
Model (Jiang et al., LREC-COLING 2024)."""


def model_card(
    name: str, config: ConfigDict, schema: Schema, workdir: Path | None, dtype: str = "float32"
) -> str:
    """The card as Markdown, with metadata that the hub reads.

    Args:
      name: of the model.
      workdir: of its run, whose reports and splits are told of; None without.
      dtype: of the weights as they are saved.
    """
    reports = {split: read_report(workdir, split) for split in ("test", "dev")} if workdir else {}
    found = {split: report for split, report in reports.items() if report}
    metadata = yaml.safe_dump(_metadata(name, config, found.get("test")), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{metadata}---",
        f"# {name}",
        f"Finds named entities of {len(schema.types)} types in text: two models, a type matcher "
        f"({_model(config.matcher)}) and a generator ({_model(config.generator)})."
        if config.matcher.enabled
        else f"Finds named entities of {len(schema.types)} types in text, by a generator ({_model(config.generator)}).",
        _USE.format(name=json.dumps(name, ensure_ascii=False)),
        "## Types",
        _table(("type", "what it covers"), ((t.name, t.description or "–") for t in schema.types)),
        "## Data",
        _data(config, workdir),
        *_scores(found),
        *(
            [f"The weights are rounded to {dtype}; the scores are of those before."]
            if dtype != "float32"
            else []
        ),
        "## Limits",
        _LIMITS,
        _CITATION,
    ]
    return "\n\n".join(parts) + "\n"


def _model(section: ConfigDict) -> str:
    return str(section.checkpoint) or "from random weights"


def _metadata(name: str, config: ConfigDict, report: Mapping[str, Any] | None) -> dict[str, Any]:
    sections = [config.generator, *([config.matcher] if config.matcher.enabled else [])]
    bases = [s.checkpoint for s in sections if "/" in s.checkpoint and not Path(s.checkpoint).exists()]
    found: dict[str, Any] = {
        "library_name": "toner_jax",
        "pipeline_tag": "token-classification",
        "tags": ["named-entity-recognition", "toner", "jax"],
        "language": config.data.language,
        "metrics": ["f1", "precision", "recall"],
    }
    if config.data.format == "hub" and not Path(config.data.dir).exists():
        found["datasets"] = [config.data.dir]
    if bases:
        found["base_model"] = bases
    if report:
        strict = report["strict"]
        found["model-index"] = [
            {
                "name": name.rpartition("/")[2],
                "results": [
                    {
                        "task": {"type": "token-classification", "name": "Named entity recognition"},
                        "dataset": {
                            "name": config.data.name or "custom", "type": config.data.name or "custom", "split": "test"
                        },
                        "metrics": [
                            {"type": kind, "value": round(strict[kind], 4), "name": f"strict span {kind}"}
                            for kind in ("f1", "precision", "recall")
                        ],
                    }
                ],
            }
        ]  # fmt: skip
    return found


def _data(config: ConfigDict, workdir: Path | None) -> str:
    name = config.data.name or "the user's own"
    paths = {split: split_path(workdir, split) for split in ("train", "dev", "test")} if workdir else {}
    counts = {
        split: sum(1 for _ in path.open(encoding="utf-8")) for split, path in paths.items() if path.is_file()
    }
    sizes = ", ".join(f"{count:,} sentences of {split}" for split, count in counts.items())
    return f"Trained on {name}{f': {sizes}' if sizes else ''}."


def _scores(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not reports:
        return []
    rows: list[tuple[str, ...]] = []
    for split, report in reports.items():
        rows.append((f"{split}: strict spans", *_figures(report["strict"])))
        if split == "test":
            rows += [(f"test: {name}", *_figures(scores)) for name, scores in report["per_type"].items()]
            rows.append(("test: strings never seen in training", *_figures(report["unseen_in_training"])))
            rows.append(("test: unique (type, string) pairs", *_figures(report["toner_compatible"])))
            rows.append(
                ("test: a list of training's strings", *_figures(report["baselines"]["memorised_mentions"]))
            )
    said = [f"On {split}, {line}." for split, report in reports.items() for line in notes(report)]
    return [
        "## Scores",
        _table(("", *_NUMBERS), rows),
        *(["\n".join(f"* {line}" for line in said)] if said else []),
    ]


def _figures(scores: Mapping[str, Any]) -> Sequence[str]:
    return [f"{scores[kind]:.4f}" for kind in ("precision", "recall", "f1")]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(table(heads, rows, _NUMBERS))
