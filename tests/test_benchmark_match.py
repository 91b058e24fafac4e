"""toner-jax bench match and tokenize on tiny models and CPU: all contenders do the same work."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tiny

from toner_jax.benchmarks import match, match_subject
from toner_jax.benchmarks.match_subject import Asked
from toner_jax.benchmarks.matchers import Ours
from toner_jax.benchmarks.torch_matchers import InTorch
from toner_jax.commands.app import main
from toner_jax.errors import UserError
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.flops import forward_flops

pytestmark = pytest.mark.slow  # PyTorch's trainings

TINY = BertConfig(
    vocab_size=2_000, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24
)  # fmt: skip
CONTENDERS = ["toner_jax", "transformers-eager", "transformers-sdpa"]
UNCOMPILED = f"--only={','.join(CONTENDERS)}"


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    match.add_options(parser)
    parser.set_defaults(device="cpu")
    return parser.parse_args(arguments)


def subject(dropout: float = 0.1) -> match_subject.MatchSubject:
    return match_subject.of_size(TINY, Asked(texts=50, batch=8, dropout=dropout))


def test_both_compute_the_same():
    """The losses after the first are those of updated weights."""
    pytest.importorskip("torch")
    found = match.compare(subject(), 4)
    assert found["embeddings"] < 1e-5
    ours, theirs = found["losses"]
    assert len(ours) == len(theirs) == 4
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    assert len(set(ours)) == 4


@pytest.mark.long
def test_compiled_it_computes_the_same():
    pytest.importorskip("torch")
    from toner_jax.benchmarks.matchers import Ours

    one = subject(dropout=0.0).first(2)
    params = Ours(one).params
    eager, compiled = (InTorch(one, params, way) for way in ("eager", "compiled"))
    np.testing.assert_allclose(compiled.embed(), eager.embed(), atol=1e-5)
    np.testing.assert_allclose(compiled.train(), eager.train(), rtol=1e-3)


def test_embeddings_are_in_the_order_of_the_texts():
    one = subject()
    vectors = Ours(one).embed()
    assert vectors.shape == (50, 16)
    alone = Ours(replace(one, rows=one.rows[7:8])).embed()
    np.testing.assert_allclose(vectors[7], alone[0], atol=1e-5)


def test_another_computation_is_said(said, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(InTorch, "_loss", lambda self, cosines, arrays: cosines.sum() * 0 + 9.0)
    match.compare(subject(), 1)
    assert "the contenders do not compute the same" in "\n".join(said())


def test_figures_follow_from_the_work():
    pytest.importorskip("torch")
    one = subject()
    report = match.measure(
        one, options("--size=minilm", "--rounds=2", "--train_texts=16", UNCOMPILED), rivals=True
    )
    assert [c["name"] for c in report["contenders"]] == CONTENDERS
    assert report["data"]["steps"] == 2
    flops = sum(forward_flops(TINY, len(row)) for row in one.rows)
    for c in report["contenders"]:
        assert c["embedding_flops_per_second"] == pytest.approx(flops * c["texts_per_second"] / 50)
        assert c["examples_per_second"] == pytest.approx(one.first(2).examples / (2 * c["step_ms"] / 1e3))
        assert list(c["times_as_fast_as"]) == CONTENDERS[1:]
    json.dumps(report)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose setup alone is done."""
    return tiny.prepared(tmp_path_factory.mktemp("prepared") / "run", "--config.matcher.epochs=0.1")


def test_a_run_is_measured(run, tmp_path, capsys):
    file, page = tmp_path / "match.json", tmp_path / "match.md"
    given = [
        "--texts=40",
        "--train_texts=32",
        "--rounds=1",
        UNCOMPILED,
        f"--json={file}",
        f"--markdown={page}",
    ]
    assert main(["bench", "match", f"--model={run}", "--device=cpu", *given]) == 0
    assert "texts/s" in capsys.readouterr().out
    report = json.loads(file.read_text())
    assert report["data"]["texts"] == 40
    assert report["check"]["embeddings"] < 1e-4
    assert str(run) not in file.read_text() + page.read_text()
    assert len([line for line in page.read_text().splitlines() if line.startswith("| ")]) == 2 + 3


def tokenizers(run, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: TensorFlow Text is not imported beside PyTorch."""
    program = [sys.executable, "-c", "from toner_jax.commands.app import main; raise SystemExit(main())"]
    command = [*program, "bench", "tokenize", f"--model={run}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_tokenizers_of_a_run(run, tmp_path):
    file, page = tmp_path / "tokenize.json", tmp_path / "tokenize.md"
    done = tokenizers(run, "--sentences=60", "--rounds=1", f"--json={file}", f"--markdown={page}")
    assert done.returncode == 0, done.stderr
    report = json.loads(file.read_text())
    by_name = {c["name"]: c for c in report["contenders"]}
    assert {"toner_jax-hf", "transformers"} <= set(by_name)
    assert by_name["transformers"]["times_as_fast_as"]["transformers"]["median"] == 1
    assert by_name["transformers"]["identical"] > 0.5
    assert by_name["toner_jax-hf"]["identical"] == 1
    assert "words/s" in page.read_text()
    assert "words/s" in done.stdout


def test_tokenizers_by_name(run):
    done = tokenizers(run, "--only=x")
    assert done.returncode == 2
    assert "no contender 'x'; there are" in done.stderr


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        ("match", [], "give --model=WORKDIR or --size=NAME, and not both"),
        ("match", ["--size=minilm", "--dropout=1"], "dropout=1.0: a share"),
        ("match", ["--model=nowhere"], "nowhere: no such folder"),
        ("tokenize", [], "give --model=WORKDIR or --tokenizer=DIR, and not both"),
        ("tokenize", ["--tokenizer=nowhere"], "nowhere"),
    ],
)
def test_bad_options(command, arguments, expected, capsys):
    assert main(["bench", command, *arguments]) == 2
    assert expected in capsys.readouterr().err


def test_an_unknown_contender():
    with pytest.raises(UserError, match="no contender 'flax'; there are toner_jax, transformers-eager"):
        match.measure(subject(), options("--size=minilm", "--only=flax"), rivals=True)
