"""A finished run, exported by the command line: PyTorch decodes it as we do, and a run can start from it."""

import json
import sys

import compare_export
import numpy as np
import pytest
import tiny
from transformers import AutoModel, AutoTokenizer, T5ForConditionalGeneration

import toner_jax
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs.restore import restore
from toner_jax.text.tokenizers import load_sentencepiece, load_wordpiece

AUTO = {"generator": T5ForConditionalGeneration, "matcher": AutoModel}


@pytest.fixture(scope="module")
def exported(finished, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "models"
    convert(finished[0], folder, cache)
    return folder


def convert(source, target, cache, *options, status=0):
    arguments = [sys.executable, "scripts/convert_checkpoint.py", f"--from={source}", f"--to={target}"]
    done = tiny.run([*arguments, *options], tiny.environment(cache))
    assert done.returncode == status, done.stderr
    return done


@pytest.mark.slow
def test_pytorch_loads_every_tensor_and_both_tokenizers(finished, exported):
    run = restore(finished[0], make_mesh())
    words = sorted({w for s in compare_export.sentences_of(finished[0], 80) for w in s.words})
    for name, load in (("generator", load_sentencepiece), ("matcher", load_wordpiece)):
        _, info = AUTO[name].from_pretrained(exported / name, output_loading_info=True)
        assert not any(info.values()), info
        tokenizer = AutoTokenizer.from_pretrained(exported / name)
        assert len(tokenizer) == load(exported / name, "hf").vocab_size
        theirs = tokenizer(words, add_special_tokens=False)["input_ids"]
        assert [tuple(row) for row in theirs] == load(run.tokenizers / name, "hf").encode(words)
    assert compare_export.embeddings(run, exported, compare_export.sentences_of(finished[0], 50)) < 1e-6


def test_read_back_bit_for_bit(finished, exported):
    assert compare_export.reimported(restore(finished[0], make_mesh()), exported) == 0


@pytest.mark.slow
def test_bfloat16_and_errors(finished, exported, cache, tmp_path):
    done = convert(finished[0], tmp_path / "half", cache, "--dtype=bfloat16")
    assert done.stdout.strip().endswith("bfloat16")
    for name in AUTO:
        assert json.loads((tmp_path / "half" / name / "config.json").read_text())["dtype"] == "bfloat16"
    toner_jax.load(tmp_path / "half").predict(["Rain fell ."])
    for source, options, message in (
        (finished[0], [f"--to={exported}"], "not an empty folder"),
        (finished[0], ["--step=99999"], "no checkpoint of step 99999"),
        (exported, ["--step=1"], "no step can be chosen"),
    ):
        done = convert(source, tmp_path / "other", cache, *options, status=2)
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_generate_gives_our_tokens(cache, tmp_path):
    """Of a run long enough that its outputs say something."""
    longer = ["--config.generator.epochs=8", "--config.generator.learning_rate=5e-3", "--config.eval.start=1"]
    done = tiny.run(
        tiny.command(tmp_path / "run", "--config.data.generated.dev=200", *longer), tiny.environment(cache)
    )
    assert done.returncode == 0, done.stderr
    run = compare_export.export(tmp_path / "run", tmp_path / "models")
    sentences = compare_export.sentences_of(tmp_path / "run", 200)
    assert len(sentences) == 200
    decoded = compare_export.decoded(run, tmp_path / "models", sentences)
    assert len(np.unique(decoded.ours)) > 20
    assert len(np.unique(decoded.ours, axis=0)) > 20
    assert decoded.wrong() == {}
    assert decoded.equal() >= 195


@pytest.mark.slow
def test_a_run_starts_from_converted_checkpoints(finished, exported, cache, tmp_path):
    """With next to no learning rate, it ends with what it began with."""
    settings = []
    for model in AUTO:
        convert(exported / model, tmp_path / model, cache)
        settings += [
            f"--config.{model}.checkpoint={tmp_path / model}",
            f"--config.{model}.learning_rate=1e-20",
            f"--config.{model}.epochs=0.1",
        ]
    done = tiny.run(tiny.command(tmp_path / "run", *settings), tiny.environment(cache))
    assert done.returncode == 0, done.stderr
    assert compare_export.reimported(restore(finished[0], make_mesh()), tmp_path / "run") == 0
