"""toner-jax bench train on tiny models and CPU: both sides do the same work, and the figures follow from it."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from toner_jax.benchmarks import train, train_subject
from toner_jax.benchmarks.train_report import markdown, table
from toner_jax.benchmarks.train_subject import Asked
from toner_jax.commands.app import main
from toner_jax.errors import UserError
from toner_jax.models.t5.config import T5Config
from toner_jax.models.t5.flops import attention_flops, token_flops, training_flops
from toner_jax.parallel.peak import peak_flops
from toner_jax.pipeline.batching import HostBatch

pytestmark = pytest.mark.slow  # PyTorch's trainings

TINY = T5Config(vocab_size=64, d_model=16, d_kv=4, d_ff=24, num_layers=1, num_decoder_layers=1, num_heads=3)
CONTENDERS = ["toner_jax", "transformers-eager", "transformers-sdpa"]
UNCOMPILED = f"--only={','.join(CONTENDERS)}"


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    train.add_options(parser)
    parser.set_defaults(device="cpu")
    return parser.parse_args(arguments)


def subject(**asked) -> train_subject.TrainSubject:
    return train_subject.of_size(TINY, 12, 6, Asked(**{"steps": 2, "batch": 4, **asked}))


@pytest.fixture(scope="module")
def report():
    pytest.importorskip("torch")
    return train.measure(
        subject(), options("--size=small", "--rounds=2", "--check_steps=2", UNCOMPILED), rivals=True
    )


def test_both_compute_the_same_losses(report):
    """The second loss is that of updated weights, so gradients, clipping and AdamW agree too; AdamW's first update is
    nearly the sign of a gradient, which rounding turns where it is almost 0."""
    losses = report["check"]["losses"]
    assert [len(v) for v in losses.values()] == [2, 2]
    (first, second), (their_first, their_second) = losses.values()
    assert first == pytest.approx(their_first, rel=1e-6)
    assert second == pytest.approx(their_second, rel=1e-3)
    assert abs(first - second) > 1e-2
    largest = max(abs(first - their_first) / their_first, abs(second - their_second) / their_second)
    assert report["check"]["largest_difference"] == pytest.approx(largest)


def test_figures_follow_from_the_work(report):
    assert [c["name"] for c in report["contenders"]] == CONTENDERS
    for c in report["contenders"]:
        seconds = c["step_ms"]["median"] / 1e3
        assert c["examples_per_second"] == pytest.approx(4 / seconds)
        assert c["tokens_per_second"] == pytest.approx(4 * (12 + 6) / seconds)
        assert c["flops_per_second"] == pytest.approx(4 * training_flops(TINY, 12, 6) / seconds)
        assert c["mfu"] == pytest.approx(c["flops_per_second"] / report["peak"]["flops"])
        assert c["real_mfu"] == pytest.approx(c["mfu"])  # nothing is padded
        assert c["ready_seconds"] > 0
        assert list(c["times_as_fast_as"]) == CONTENDERS[1:]
        for ratio in c["times_as_fast_as"].values():
            assert 0 < ratio["least"] <= ratio["median"] <= ratio["greatest"]
    ours, eager, _ = report["contenders"]
    assert ours["planned_bytes"] > 0
    assert eager["times_as_fast_as"]["transformers-eager"] == {"median": 1, "least": 1, "greatest": 1}
    assert report["peak"]["source"] == "measured matrix product"
    assert report["data"]["padding_share"] == 0
    json.dumps(report)


def test_the_page_says_which_attention_is_faster(report):
    page = markdown(report)
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 3
    assert len({row.count("|") for row in rows}) == 1
    by_name = {c["name"]: c["step_ms"]["median"] for c in report["contenders"][1:]}
    assert f"The faster of PyTorch's is {min(by_name, key=by_name.__getitem__)};" in page
    assert "Losses of the first 2 steps without dropout differ by at most" in page
    assert "Before the first timed step" in page
    assert "2 threads for each" in page
    assert "toner-jax bench train --size=small" in page
    assert table(report).row_count == 3


def test_another_computation_is_said(said, monkeypatch):
    pytest.importorskip("torch")
    from toner_jax.benchmarks import torch_trainers

    monkeypatch.setattr(
        torch_trainers, "_classification_loss", lambda head, states, batch: states.mean() * 0 + 9.0
    )
    assert train.check_losses(subject(), 1)["largest_difference"] > 0.02
    assert "the contenders do not compute the same" in "\n".join(said())


def test_each_attention_is_what_its_name_says(monkeypatch):
    torch = pytest.importorskip("torch")
    from toner_jax.benchmarks.torch_trainers import TorchModel, TorchTrainer
    from toner_jax.benchmarks.trainers import Ours

    called = []
    fused = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda *a, **k: called.append(1) or fused(*a, **k),
    )
    one = subject(steps=1).without_dropout()
    model = TorchModel(one, Ours(one).params)
    counts, losses = {}, []
    for attention in ("sdpa", "eager", "sdpa"):
        called.clear()
        losses += TorchTrainer(model, attention).train()
        counts[attention] = len(called)
    assert counts == {"eager": 0, "sdpa": 3}  # the encoder's, and the decoder's two
    assert losses[0] > losses[1] > losses[2]  # the same batch three times


@pytest.mark.long
def test_compiled_it_computes_the_same():
    pytest.importorskip("torch")
    from toner_jax.benchmarks.torch_trainers import TorchModel, TorchTrainer
    from toner_jax.benchmarks.trainers import Ours

    one = subject().without_dropout()
    params, losses = Ours(one).params, []
    for way in ("eager", "compiled"):
        losses.append(TorchTrainer(TorchModel(one, params), way).train())
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
    assert losses[0][0] != losses[0][1]


def test_a_contender_that_cannot_be_compiled_is_left_out(said):
    pytest.importorskip("torch")
    from toner_jax.benchmarks.torch_trainers import works

    def broken() -> None:
        raise RuntimeError("no working C++ compiler found\nin three places")

    left_out: list[str] = []
    assert not works("transformers-compiled", broken, left_out)
    assert left_out == ["transformers-compiled: no working C++ compiler found"]
    assert left_out[0] in said()
    with pytest.raises(RuntimeError):
        works("transformers-sdpa", broken, left_out)
    assert works("transformers-compiled", lambda: None, left_out)
    assert len(left_out) == 1


def test_rows_that_fill_a_batch_are_no_work():
    """One real row of 5 + 2 tokens in two of 8 + 4 cells, with room for 6 + 3."""
    arrays = {
        "source": np.array([[3, 4, 5, 6, 1, 0, 0, 0], [0] * 8], np.int32),
        "target": np.array([[7, 1, 0, 0], [0] * 4], np.int32),
        "weight": np.array([1, 0], np.float32),
        "source_cells": np.array([[0, 1, 2, 3, 4, 16]], np.int32),
        "target_cells": np.array([[0, 1, 8]], np.int32),
    }
    lengths = {"source": np.array([5, 0]), "target": np.array([2, 0])}
    work = replace(subject(), batches=[HostBatch(arrays, ["a"], (8, 4), lengths)]).work()
    assert (work.examples, work.source_tokens, work.target_tokens) == (1, 5, 2)
    assert work.padding_share == 1 - 7 / 9
    assert work.flops == token_flops(TINY, 6, 3) + 2 * attention_flops(TINY, 8, 4)
    assert work.real_flops == training_flops(TINY, 5, 2)


def test_flops_of_the_published_sizes():
    """Flan-T5-large at 128 + 32 positions: every product counted by hand."""
    width, heads, hidden, layers, vocabulary, s, t = 1024, 16 * 64, 2816, 24, 32128, 128, 32
    encoder = 4 * s * width * heads + 3 * s * width * hidden + 2 * s * s * heads
    decoder = 6 * t * width * heads + 3 * t * width * hidden + t * t * heads
    cross = 2 * s * width * heads + 2 * s * t * heads
    by_hand = 3 * 2 * (layers * (encoder + decoder + cross) + t * width * vocabulary)
    assert training_flops(T5Config.flan("large"), s, t) == by_hand
    assert by_hand == pytest.approx(0.357e12, rel=2e-3)


@pytest.mark.parametrize(
    ("kind", "tflops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312), ("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H200", 989), ("TPU v4", 275),
        ("TPU v5 lite", 197), ("TPU v5e", 197), ("TPU v5p", 459), ("TPU v5", 459), ("TPU v6 lite", 918),
        ("NVIDIA H100 PCIe", None), ("NVIDIA H100 NVL", None), ("cpu", None),
    ],
)  # fmt: skip
def test_peaks_of_known_cards(kind, tflops):
    assert peak_flops(kind, jnp.bfloat16) == (None if tflops is None else tflops * 1e12)
    assert peak_flops(kind, jnp.float32) is None


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A run whose setup alone is done: no model is trained."""
    return tiny.prepared(tmp_path_factory.mktemp("prepared") / "run", "--config.matcher.enabled=False")


def test_a_run_is_measured_on_its_own_data(prepared, tmp_path, capsys):
    file, page = tmp_path / "train.json", tmp_path / "train.md"
    arguments = [
        "bench", "train", f"--model={prepared}", "--steps=3", "--rounds=1", "--check_steps=0", "--device=cpu",
        "--only=toner_jax", f"--json={file}", f"--markdown={page}", "--batch=4", "--dropout=0.2",
        "--remat=full", "--scan_layers",
    ]  # fmt: skip
    assert main(arguments) == 0
    report = json.loads(file.read_text())
    assert "examples/s" in capsys.readouterr().out
    assert report["check"] is None
    assert report["data"]["batch"] == 4
    assert (report["model"]["dropout"], report["model"]["remat"]) == (0.2, "full")
    assert 0 < report["data"]["padding_share"] < 1
    assert 0 < report["data"]["target_tokens"] < report["data"]["source_tokens"] < 128
    (ours,) = report["contenders"]
    assert 0 < ours["real_mfu"] < ours["mfu"]
    assert str(prepared) not in file.read_text() + page.read_text()
    assert report["command"].startswith("toner-jax bench train --model=WORKDIR --batch=4 --dropout=0.2")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--steps=1"], "give --model=WORKDIR or --size=NAME, and not both"),
        (["--size=small", "--model=runs/x"], "and not both"),
        (["--size=tiny"], "Flan-T5 'tiny': the sizes are"),
        (["--size=small", "--dropout=1"], "dropout=1.0: a share"),
        (["--model=nowhere"], "nowhere: no such folder"),
    ],
)
def test_bad_options_of_train(arguments, expected):
    with pytest.raises(UserError, match=expected):
        train.run(options(*arguments))


def test_an_unknown_contender():
    with pytest.raises(UserError, match="no contender 'flax'; there are toner_jax, transformers-eager"):
        train.measure(subject(), options("--size=small", "--only=flax"), rivals=True)
