"""toner-jax bench epoch on a tiny run and CPU: both sides learn from the same examples, each in batches of its own."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tiny

from toner_jax.benchmarks import epoch, train_subject
from toner_jax.benchmarks.epoch import OurEpoch
from toner_jax.benchmarks.torch_epochs import GROUPED, RANDOM, TorchEpoch
from toner_jax.benchmarks.torch_trainers import TorchModel
from toner_jax.benchmarks.train_subject import Asked
from toner_jax.benchmarks.trainers import Ours
from toner_jax.commands.app import main
from toner_jax.errors import UserError
from toner_jax.runs.restore import read_work_config

pytestmark = pytest.mark.slow  # PyTorch's trainings

SENTENCES = 30


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A run whose setup alone is done: no model is trained."""
    return tiny.prepared(tmp_path_factory.mktemp("prepared") / "run", "--config.matcher.enabled=False")


@pytest.fixture(scope="module")
def learners(prepared):
    """Ours and PyTorch's, by name, and the examples of the epoch."""
    pytest.importorskip("torch")
    config = read_work_config(prepared)
    config.generator.epochs, config.generator.batch_size = 1.0, 4
    text = train_subject.read_text(prepared, config, SENTENCES)
    samples = text.samples(config)
    asked = Asked(steps=samples.steps)
    subject = train_subject.of_samples(prepared, config, text, samples, asked).one_of_each_shape()
    ours = Ours(replace(subject, model=subject.model.clone()))
    ours.prepare()
    model = TorchModel(subject, ours.params)
    found = {order: TorchEpoch(model, samples, config, order) for order in (RANDOM, GROUPED)}
    return OurEpoch(config, text, ours), found, [samples.examples[i] for i in samples.used(0)]


def rows_of(batches) -> Counter:
    """How often each example is in them, by its ids."""
    return Counter(
        (tuple(source[source > 0].tolist()), tuple(target[target > 0].tolist()))
        for batch in batches
        for source, target, weight in zip(batch.source, batch.target, batch.weight, strict=True)
        if weight
    )


def test_all_learn_from_the_same_examples(learners):
    ours, theirs, examples = learners
    expected = Counter((tuple(e.source.tolist()), tuple(e.target.tolist())) for e in examples)
    assert SENTENCES <= expected.total() <= 2 * SENTENCES
    done = [ours.epoch(), *(learner.epoch() for learner in theirs.values())]
    assert {d.examples for d in done} == {expected.total()}
    assert {d.tokens for d in done} == {sum(len(e.source) + len(e.target) for e in examples)}
    for learner in theirs.values():
        assert rows_of(learner.batches(1)) == expected


def test_each_batch_is_padded_to_its_longest(learners):
    _, theirs, _ = learners
    shares = {}
    for order, learner in theirs.items():
        batches = learner.batches(2)
        for batch in batches:
            assert batch.source[:, -1].any()
            assert batch.target[:, -1].any()
        cells = sum(b.source.size for b in batches)
        shares[order] = sum(np.count_nonzero(b.source) for b in batches) / cells
    assert shares[GROUPED] > shares[RANDOM]
    order = [b.source.tolist() for b in theirs[RANDOM].batches(1)]
    assert order != [b.source.tolist() for b in theirs[RANDOM].batches(2)]  # drawn anew


def test_the_command(prepared, tmp_path, capsys):
    pytest.importorskip("torch")
    file, page = tmp_path / "epoch.json", tmp_path / "epoch.md"
    arguments = [
        "bench", "epoch", f"--model={prepared}", "--sentences=12", "--rounds=1", "--device=cpu",
        f"--json={file}", f"--markdown={page}",
    ]  # fmt: skip
    assert main(arguments) == 0
    report = json.loads(file.read_text())
    names = ["toner_jax", "transformers-random", "transformers-grouped"]
    assert [c["name"] for c in report["contenders"]] == names
    assert report["data"]["sentences"] == 12
    assert report["attention"] in ("eager", "sdpa")
    for c in report["contenders"]:
        assert c["examples_per_second"] == pytest.approx(c["examples"] / c["seconds"])
        assert 0 <= c["padding_share"] < 1
        assert c["times_as_fast_as"][c["name"]]["median"] == 1 if c["name"] != "toner_jax" else True
    assert "s an epoch" in capsys.readouterr().out
    assert str(prepared) not in file.read_text() + page.read_text()


def test_bad_options_of_epoch(tmp_path):
    parser = argparse.ArgumentParser()
    epoch.add_options(parser)
    with pytest.raises(UserError, match=r"no config\.json"):
        epoch.run(parser.parse_args([f"--model={tmp_path}"]))
