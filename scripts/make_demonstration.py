"""Writes the model that the package brings (`toner_jax.load("quickstart")`) from a run of configs/quickstart.py.

python scripts/make_demonstration.py --workdir=runs/quickstart --wnut17=FOLDER

`make demonstration WNUT17=FOLDER` trains that run first. FOLDER holds WNUT-17's emerging.test.annotated, on which the
model is evaluated too: that says what it is worth on real text.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from toner_jax.api import Ner
from toner_jax.commands import config_file
from toner_jax.common.console import say, show_messages
from toner_jax.common.files import write_atomically
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.evaluation.scoring import Counts, strict_counts
from toner_jax.runs.named import ABOUT, demonstration
from toner_jax.runs.restore import restore, save_pretrained
from toner_jax.schema import Sentence


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--workdir", type=Path, required=True, help="a finished run of configs/quickstart.py")
    parser.add_argument("--wnut17", required=True, metavar="FOLDER", help="the folder of WNUT-17's files")
    options = parser.parse_args()
    show_messages()
    folder = demonstration()
    shutil.rmtree(folder, ignore_errors=True)
    save_pretrained(restore(options.workdir), folder, jnp.bfloat16)
    ner = Ner(folder)
    data = config_file.load("quickstart", []).config.data
    write_atomically(folder / ABOUT, json.dumps(about(ner, data, options.wnut17), indent=2) + "\n")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    say(f"{folder}: {size / 1e6:.2f} MB")
    return 0


def about(ner: Ner, data: Any, wnut17: str) -> dict[str, Any]:
    """What the package says of the model: what it learnt from, and what it is worth."""
    types = {
        "generated": None,
        # The names of types that both have.
        "wnut17": ("person", "location", "product"),
    }
    splits = {"generated": DataOptions.from_section(data), "wnut17": _wnut17(wnut17)}
    counts = {
        name: evaluate(ner, load_dataset(options, ["test"]).splits["test"], types[name])
        for name, options in splits.items()
    }
    return {
        "trained_on": f"{data.generated.train:,} generated sentences with the types {', '.join(ner.schema.names)}",
        "f1": {name: round(c.f1, 4) for name, c in counts.items()},
        "precision": {name: round(c.precision, 4) for name, c in counts.items()},
        "recall": {name: round(c.recall, 4) for name, c in counts.items()},
        "types": {"wnut17": list(types["wnut17"] or ())},
    }


def evaluate(ner: Ner, sentences: Sequence[Sentence], types: tuple[str, ...] | None) -> Counts:
    """Strict spans; of some types alone, where they are given."""
    found, _ = ner.recognize(sentences)

    def kept(entities: Any) -> tuple[Any, ...]:
        return tuple(e for e in entities if types is None or e.type in types)

    gold = [replace(s, entities=kept(s.entities)) for s in sentences]
    return strict_counts(gold, [kept(r.entities) for r in found])


def _wnut17(folder: str) -> DataOptions:
    return DataOptions.from_section(config_file.load("wnut17", [("data.dir", folder)]).config.data)


if __name__ == "__main__":
    sys.exit(main())
