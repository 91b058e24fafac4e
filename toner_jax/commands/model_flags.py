"""Flags that name a model, and what they name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from toner_jax.common import cli

if TYPE_CHECKING:
    from toner_jax.api import Ner


def add_model(parser: cli.Parser) -> None:
    """The flags."""
    parser.add_argument(
        "--model", type=cli.some, required=True, metavar="MODEL",
        help="the work directory of a finished run, a folder of save_pretrained, user/model of the Hugging Face hub, "
        "or quickstart, a demonstration on generated names",
    )  # fmt: skip
    parser.add_argument("--revision", type=cli.some, help="of a model of the hub: a branch, tag or commit")
    parser.add_argument(
        "--accept-mixed", action="store_true", help="stages that do not belong together are a warning"
    )


def load(options: argparse.Namespace) -> Ner:
    """The model that the flags, and `--config.KEY=VALUE`, name; raises as `toner_jax.load`."""
    from toner_jax.api import Ner

    if not options.keys:
        return Ner(options.model, accept_mixed=options.accept_mixed, revision=options.revision)
    from toner_jax.runs.named import find_model
    from toner_jax.runs.reevaluate import changed_config

    folder = find_model(options.model, options.revision)
    config = changed_config(folder, options.keys)
    return Ner(folder, config=config, accept_mixed=options.accept_mixed)
