"""The smallest complete run: both models, three stages; most of its time is compilation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SETTINGS = {
    "tokenizer.backend": "hf",
    "tokenizer.generator_vocab_size": 500,
    "tokenizer.matcher_vocab_size": 600,
    "data.generated.train": 400,
    "data.generated.dev": 40,
    "data.generated.test": 40,
    "text.max_source": 128,
    "text.max_target": 96,
    "matcher.model.num_hidden_layers": 1,
    "matcher.model.hidden_size": 32,
    "matcher.model.intermediate_size": 64,
    "matcher.max_shapes": 1,
    "matcher.epochs": 4.0,
    "generator.model.num_layers": 1,
    "generator.model.num_decoder_layers": 1,
    "generator.model.d_model": 32,
    "generator.model.d_kv": 8,
    "generator.model.d_ff": 64,
    "generator.max_shapes": 2,
    "generator.batch_size": 16,
    "generator.dropout": 0.0,
    "matcher.dropout": 0.1,
    "generator.type_recognition": 0.5,
    "generator.epochs": 1.5,
    "checkpoint.every": 7,
    "eval.every": 15,
    "eval.start": 0.0,
    "eval.dev_max_sentences": 20,
    "log_every": 5,
}


# What its models are asked to read.
TEXTS = [
    "Judge Ivan Borcalski married Professor Jaman in Selqua in 1973.",
    "",
    "   ",
    "Émile ½ 😀 \u200b ( said ) : “no”",
    "word " * 400,
]


def command(workdir: Path, *extra: str, config: str = "configs/quickstart.py") -> list[str]:
    """The command line of a tiny run; later arguments win."""
    settings = [f"--config.{key}={value}" for key, value in SETTINGS.items()]
    program = [sys.executable, "-m", "toner_jax.main"]
    return [*program, f"--config={config}", f"--workdir={workdir}", *settings, *extra]


def environment(cache: Path, **more: str) -> dict[str, str]:
    """Two runs share compiled programs through `cache`."""
    every = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_PLATFORMS": "cpu", **every, **more}


def run(arguments: list[str], env: dict[str, str], timeout: float = 900) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )


def prepared(workdir: Path, *settings: str) -> Path:
    """A run whose stages end with the matcher's: no generator is trained."""
    from toner_jax.commands.app import main

    program, *rest = command(workdir, "--config.stages=matcher", *settings)[2:]
    assert program == "toner_jax.main"
    assert main(["train", *rest]) == 0
    return workdir
