"""toner-jax bench on a tiny run and little data: every figure is there, and what must agree agrees."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys

import pytest
import tiny

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.errors import UserError
from toner_jax.pipeline.corpus import generator_corpus
from toner_jax.text.train_tokenizers import train_sentencepiece

OURS = ("greedy-unsorted", "greedy", "batching-4")
PEERS = ("transformers", "ctranslate2-float32", "ctranslate2-int8")
INSTALLED = [
    name
    for name in PEERS
    if importlib.util.find_spec("torch") and importlib.util.find_spec(name.partition("-")[0])
]
FIGURES = {
    "name", "title", "setting", "single_setting", "sentences_per_second", "latency_ms", "passes_per_sentence",
    "ms_per_pass", "cpu_ms_per_sentence", "identical_to_greedy", "strict_f1", "times_as_fast_as",
}  # fmt: skip


@pytest.fixture(scope="module")
def files(finished, cache, tmp_path_factory):
    """What is written about eight sentences: (JSON, Markdown)."""
    folder = tmp_path_factory.mktemp("benchmark")
    command = [
        sys.executable, "-m", "toner_jax", "bench", "decode",
        f"--model={finished[0]}", "--split=dev", "--sentences=8", "--rounds=1", "--requests=1", "--batches=8",
        f"--only={','.join((*OURS, *INSTALLED, 'floor-encode'))}",
        f"--json={folder / 'decode.json'}", f"--markdown={folder / 'decode.md'}",
    ]  # fmt: skip
    done = tiny.run(command, tiny.environment(cache))
    assert done.returncode == 0, done.stderr
    assert "batching-4" in done.stdout
    return json.loads((folder / "decode.json").read_text()), (folder / "decode.md").read_text()


@pytest.fixture(scope="module")
def figures(files):
    return {c["name"]: c for c in files[0]["contenders"]}


@pytest.mark.slow
def test_every_contender_has_every_figure(figures):
    assert list(figures) == [*OURS, *INSTALLED, "floor-encode"]
    for name, one in figures.items():
        assert set(one) == FIGURES
        assert one["sentences_per_second"]["best"] == one["sentences_per_second"]["median"] > 0  # one round
        assert 0 < one["latency_ms"]["p50"] <= one["latency_ms"]["p95"]
        assert one["cpu_ms_per_sentence"] > 0
        assert set(one["times_as_fast_as"]) == set(INSTALLED)
        assert (one["strict_f1"] is None) == (one["identical_to_greedy"] is None) == (name == "floor-encode")
    for name in INSTALLED:
        assert figures[name]["times_as_fast_as"][name] == 1


@pytest.mark.slow
def test_the_same_weights_write_the_same(figures):
    """Greedy search in any order and by any library in fp32; what is written alike scores alike."""
    for name in ("greedy-unsorted", "greedy", *(n for n in INSTALLED if n != "ctranslate2-int8")):
        assert figures[name]["identical_to_greedy"] == 1, name
        assert figures[name]["strict_f1"] == figures["greedy"]["strict_f1"]


@pytest.mark.slow
def test_blocks_take_fewer_passes(figures):
    """Plain greedy search takes a pass for each token, so that its passes are whole batches' longest."""
    plain, batching = figures["greedy"], figures["batching-4"]
    assert plain["passes_per_sentence"] == int(plain["passes_per_sentence"])
    assert 0 < batching["passes_per_sentence"] < plain["passes_per_sentence"]
    if "transformers" in figures:
        assert figures["transformers"]["passes_per_sentence"] == plain["passes_per_sentence"]


@pytest.mark.slow
def test_nothing_tells_whose_machine_it_was(files, finished):
    report, page = files
    assert report["threads"] == 2
    assert {"python", "jax"} <= set(report["versions"])
    assert report["command"].startswith("toner-jax bench decode --model=WORKDIR --split=dev")
    for text in (json.dumps(report), page):
        assert str(finished[0]) not in text
        assert "/tmp" not in text
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(report["contenders"])
    assert len({row.count("|") for row in rows}) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--batches=8,x"], "--batches=8,x: write sizes"),
        (["--rounds=0"], "--rounds are at least 1"),
        (["--model=nowhere"], "nowhere: no such folder"),
    ],
)
def test_bad_options(arguments, expected):
    from toner_jax.benchmarks import decode

    parser = argparse.ArgumentParser()
    decode.add_options(parser)
    with pytest.raises(UserError, match=expected):
        decode.run(parser.parse_args(["--model=nowhere", *arguments]))


def test_data(tmp_path, said):
    from toner_jax.benchmarks import data

    parser = argparse.ArgumentParser()
    data.add_options(parser)
    train_sentencepiece(
        tmp_path / "pieces", generator_corpus(generate(seed=1, sizes={"train": 300})["train"], SCHEMA), 400
    )
    file = tmp_path / "data.json"
    data.run(
        parser.parse_args(
            [f"--tokenizer={tmp_path / 'pieces'}", "--backend=hf", "--sentences=100", f"--json={file}"]
        )
    )
    report = json.loads(file.read_text())
    expected = generate(seed=0, sizes={"train": 80, "dev": 10, "test": 10})
    assert report["sentences"] == 100
    assert report["entities"] == sum(len(s.entities) for split in expected.values() for s in split)
    assert set(report["seconds"]) == {"read", "samples"}
    assert "100 sentences in CoNLL-2012 files" in "\n".join(said())
