"""`toner-jax convert`: between a run's checkpoints and Hugging Face folders."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from toner_jax.common import cli
from toner_jax.common.console import show


def main(arguments: Sequence[str]) -> None:
    """Runs the command.

    Raises:
      UserError: bad input.
    """
    options = _read(arguments)
    from toner_jax.runs.export import convert

    if options.repo_id:
        show(
            convert.push(
                options.source, options.repo_id, options.step, options.dtype, private=options.private
            )
        )
    else:
        show(convert.convert(options.source, options.target, options.step, options.dtype, options.format))


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser("convert", "Converts between a run's checkpoints and Hugging Face folders.", _more)
    parser.add_argument(
        "--from", dest="source", type=cli.some, required=True, metavar="DIR",
        help="a work directory, or a model to import: a folder or a hub id",
    )  # fmt: skip
    parser.add_argument("--to", dest="target", type=cli.output, metavar="DIR", help="a new or empty folder")
    parser.add_argument(
        "--push_to_hub", dest="repo_id", type=cli.some, metavar="USER/MODEL",
        help="instead of --to: a model of the Hugging Face hub, made where there is none, with the token of HF_TOKEN",
    )  # fmt: skip
    parser.add_argument("--private", action="store_true", help="a model that is made there is private")
    parser.add_argument(
        "--step", type=cli.whole_number, help="a generator checkpoint of the run; the chosen one by default"
    )
    parser.add_argument(
        "--dtype", type=cli.one_of("float32", "bfloat16"),
        help="float32 (default) or bfloat16",
    )  # fmt: skip
    parser.add_argument(
        "--format", type=cli.one_of("huggingface", "ctranslate2", "stablehlo"), default="huggingface",
        help="of a run: huggingface (default), both models; ctranslate2, the generator as that library decodes it; "
        "stablehlo, both as programs that JAX alone can run",
    )  # fmt: skip
    options = parser.read(arguments)
    if options.repo_id and options.format != "huggingface":
        parser.error("--push_to_hub is of Hugging Face's format")
    if options.dtype and options.format == "ctranslate2":
        parser.error(
            "--format=ctranslate2 writes float32, which CTranslate2 rounds as it loads (its compute_type)"
        )
    options.dtype = options.dtype or "float32"
    if bool(options.target) == bool(options.repo_id):
        parser.error("give one of --to and --push_to_hub")
    return options


def _more() -> str:
    return (
        "Of a work directory: --to holds generator/ and matcher/, which PyTorch's from_pretrained loads (matcher/,\n"
        "SentenceTransformer too), and a model card, README.md. Of a Hugging Face model: --to is a checkpoint that\n"
        "a run starts from, --config.generator.checkpoint=DIR, or matcher."
    )
