"""Writes docs/configuration.md from the comments of `toner_jax.config.base`.

python scripts/make_configuration.py          writes the page
python scripts/make_configuration.py --check  exit status 1 where it is not current
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from toner_jax.commands.keys import read_keys
from toner_jax.runs.run import TRAINED, changed_by

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "toner_jax" / "config.py"
PAGE = ROOT / "docs" / "configuration.md"

HEAD = """# Configuration

Every key, its default and its meaning. Made by `scripts/make_configuration.py` from the comments of
`toner_jax/config.py`; change them there.

`--config=FILE[:VARIANT]` names a file of `configs/`, or your own, which calls `toner_jax.config.base()` and states its
differences. **A configuration file is a Python program**: it runs when it is named. Run only those that you trust.
`--config.KEY=VALUE` sets any key after that; an unknown key or a value of another type is an error. Lists are
written as Python tuples, in quotes: `--config.data.columns="('Word','Tag')"`.

Variants choose the models: `small`, `base`, `large`, `xl` and `xxl` are the sizes of Flan-T5, `scratch` trains small
models from random weights. Two of them contradict each other and are refused.

Where a key may be `dev`, `--config.matcher.type_threshold=dev` has the value chosen on the dev split.

The last column says what another value means to a run that is finished: which stages are made anew (**matcher** and
**generator**, which hold trained steps, only with `--restart=`), that a step *stays* as it was selected under the
former value, or nothing. A key of `data` acts by the data that are read under it: other training data are other models;
other dev data leave trained steps as they were chosen (with `matcher.type_threshold=dev` they choose another δ, which
is another T′); other test data are evaluated, and train nothing.
"""


def make_page(source: str) -> str:
    """The page, of the source of `toner_jax/config.py`."""
    keys = sorted(read_keys(source), key=lambda key: "." in key.name)  # those without a section come first
    lines = [HEAD]
    for section, members in groupby(keys, key=lambda key: key.name.rpartition(".")[0].split(".")[0]):
        lines += [
            f"## `{section}`" if section else "## The whole run",
            "",
            "| key | default | | changed later |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| `{k.name}` | `{k.default}` | {k.meaning.replace('|', chr(92) + '|')} | {_changed(k.name)} |"
            for k in members
        ]
        lines.append("")
    return "\n".join(lines)


def _changed(key: str) -> str:
    """What another value means to a finished run."""
    stages = changed_by(key)
    # Setup goes with what it is made for, and folds with the matcher.
    anew = [s for s, kind in stages.items() if kind == "result" and s not in ("setup", "folds")]
    kept = [s for s, kind in stages.items() if kind == "selection"]
    said = [", ".join(f"**{s}**" if s in TRAINED else s for s in anew)] if anew else []
    return "; ".join(
        [*said, *([f"{' and '.join(kept)} {'stay' if len(kept) > 1 else 'stays'}"] if kept else [])]
    )


def main(arguments: Sequence[str]) -> int:
    page = make_page(SOURCE.read_text(encoding="utf-8"))
    if "--check" in arguments:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page:
            return 0
        print(f"{PAGE}: not current; run python scripts/make_configuration.py", file=sys.stderr)
        return 1
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
