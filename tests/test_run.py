"""Whole runs, from the command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from toner_jax.runs.workdir import locked

sys.path.insert(0, str(Path(__file__).resolve().parent / "stress"))
import kill_and_resume


def test_outputs(finished):
    workdir, done = finished
    for name in ("config.json", "schema.json", "models.json", "metrics.jsonl", "types/thresholds.json"):
        assert (workdir / name).is_file()
    report = json.loads((workdir / "report/test.json").read_text())
    assert report["sentences"] == 40
    assert set(report) >= {
        "strict", "toner_compatible", "per_type", "types", "dropped", "alignment_ceiling", "baselines",
    }  # fmt: skip
    lines = [json.loads(line) for line in (workdir / "predictions/test.jsonl").read_text().splitlines()]
    assert len(lines) == 40
    for line in lines:
        for span in line["gold"] + line["predicted"]:
            assert line["text"][span["start"] : span["end"]] == span["text"]
    assert sum(len(line["gold"]) for line in lines) == report["entities"]
    assert "strict spans" in done.stdout
    page = (workdir / "report/test.html").read_text()
    assert "<svg" in page
    assert not re.search(r"""(src|href)=["']\s*https?:|@import|url\(http""", page), (
        "the page must load nothing"
    )


def test_types_of_every_split_are_written(finished):
    workdir, _ = finished
    threshold = json.loads((workdir / "types/thresholds.json").read_text())["type_threshold"]
    files = {"types/train": 400, "types/dev": 40, "evaluate/types/dev": 40, "evaluate/types/test": 40}
    for name, count in files.items():
        entries = [json.loads(line) for line in (workdir / f"{name}.jsonl").read_text().splitlines()]
        assert len(entries) == count
        for entry in entries:
            above = {t for t, v in entry["similarities"].items() if v > threshold + 1e-6}
            assert above <= set(entry["types"])
            values = [entry["similarities"][t] for t in entry["types"]]
            assert values == sorted(values, reverse=True)


@pytest.mark.slow
def test_second_start_does_nothing(finished, cache):
    workdir, _ = finished
    before = (workdir / "metrics.jsonl").read_bytes()
    again = tiny.run(tiny.command(workdir), tiny.environment(cache))
    assert again.returncode == 0
    assert again.stderr.count("complete, skipped") == 6
    assert (workdir / "metrics.jsonl").read_bytes() == before


@pytest.mark.slow
def test_changed_decoding_evaluates_again_and_trains_nothing(finished, cache, tmp_path):
    workdir = tmp_path / "copy"
    shutil.copytree(finished[0], workdir)
    other = ("--config.decode.max_length=3", "--config.decode.type_threshold=-1.0")
    again = tiny.run(tiny.command(workdir, *other), tiny.environment(cache))
    assert again.returncode == 0, again.stderr
    assert "generator: complete, skipped" in again.stderr
    assert "evaluate: runs again: decode.max_length: 0 → 3" in again.stderr
    rows = [json.loads(line) for line in (workdir / "predictions/test.jsonl").read_text().splitlines()]
    assert all(len(row["output"]) < 40 for row in rows)
    # Of any but an empty list, nothing is whole.
    assert all(row["dropped"] in ({}, {"truncated": 1}) for row in rows)
    assert all(row["dropped"] for row in rows if row["output"] not in ("", "[]"))
    assert not any(row["predicted"] for row in rows)
    report = json.loads((workdir / "report/test.json").read_text())
    # Another δ: T′ of the evaluation alone, and the report says so.
    assert (workdir / "types/dev.jsonl").read_bytes() == (finished[0] / "types/dev.jsonl").read_bytes()
    assert all(set(row["types"]) == set(report["per_type"]) for row in rows)
    trained = json.loads((workdir / "types/thresholds.json").read_text())["type_threshold"]
    assert report["made_by"]["type_threshold"] == {"training": trained, "here": -1.0}
    assert "δ of T′: " in (workdir / "report/test.html").read_text()
    assert "-1.0000 here" in (workdir / "report/test.html").read_text()
    assert report["dropped"].get("truncated", 0) == sum(len(row["dropped"]) for row in rows) > 0
    evaluated = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert len([e for e in evaluated if e["stage"] == "evaluate"]) == 2


@pytest.mark.slow
def test_changed_training_settings_train_again_from_that_stage_on(finished, cache, tmp_path):
    workdir = tmp_path / "copy"
    shutil.copytree(finished[0], workdir)
    changed = ("--config.generator.lambda_c=0.2", "--config.generator.epochs=0.2")
    refused = tiny.run(tiny.command(workdir, *changed, "--dry_run"), tiny.environment(cache))
    assert refused.returncode == 2
    assert "generator.epochs: 1.5 → 0.2; generator.lambda_c: 0.1 → 0.2" in refused.stderr
    assert "set --restart=generator to train anew, which gives up 58 trained steps" in refused.stderr
    restart = (*changed, "--restart=generator", "--dry_run")
    again = tiny.run(tiny.command(workdir, *restart), tiny.environment(cache))
    assert again.returncode == 0, again.stderr
    for line in (
        "setup: skip",
        "matcher: skip",
        "types: skip",
        "generator: start, giving up",
        "evaluate: start",
    ):
        assert f"stage {line}" in again.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "signals"),
    [([14.0], [signal.SIGKILL]), ([9.0, 14.0, 11.0], [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])],
    ids=["once", "thrice"],
)
def test_killed_and_resumed_is_the_same_run(finished, cache, tmp_path, seconds, signals):
    """The short form of tests/stress/kill_and_resume.py."""
    statuses = kill_and_resume.run_with_kills(tmp_path / "run", cache, seconds, signals)
    assert statuses[-1] == 0
    assert set(statuses[:-1]) <= {-signal.SIGKILL, 75, 130, -signal.SIGTERM, -signal.SIGINT, 143}
    assert kill_and_resume.differences(finished[0], tmp_path / "run") == []


@pytest.mark.slow
def test_sigterm_while_training_saves_and_exits_75(cache, tmp_path):
    process = subprocess.Popen(
        tiny.command(tmp_path / "run", "--config.matcher.epochs=4000.0", "--config.checkpoint.every=100000"),
        cwd=tiny.ROOT, env=tiny.environment(cache), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    log = tmp_path / "run/metrics.jsonl"
    for _ in range(1200):
        if log.exists() and log.read_text().count("\n") > 3:
            break
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 75, err
    assert "is saved" in err
    assert len(list((tmp_path / "run/matcher/checkpoints/manifests").glob("*.json"))) >= 1


def test_a_second_run_on_the_same_directory_is_refused(finished, cache):
    workdir, _ = finished
    with locked(workdir):
        second = tiny.run(tiny.command(workdir), tiny.environment(cache))
    assert second.returncode == 2
    message = f"another run (process {os.getpid()}) is at work there; wait for it or choose another workdir"
    assert message in second.stderr


def _columns(folder: Path, corrupt_test: bool) -> None:
    """Flat generated data as IOB2 files; corrupting changes every test label."""
    from toner_jax.data.corpora.generated import generate

    folder.mkdir()
    for split, sentences in generate(0, {"train": 300, "dev": 40, "test": 40}).items():
        lines = []
        for sentence in sentences:
            tags = ["O"] * len(sentence.words)
            for e in sentence.entities:
                if all(t == "O" for t in tags[e.start : e.end]):
                    label = e.type
                    if corrupt_test and split == "test":
                        label = "person" if e.type != "person" else "date"
                    tags[e.start : e.end] = [f"B-{label}"] + [f"I-{label}"] * (e.end - e.start - 1)
            lines += [f"{w}\t{t}" for w, t in zip(sentence.words, tags, strict=True)] + [""]
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_corrupt_test_labels_change_nothing_but_the_test_scores(cache, tmp_path):
    from toner_jax.data.corpora.generated import SCHEMA

    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA.to_json()))
    runs = []
    for name, corrupt, seed in (("plain", False, "1"), ("corrupt", True, "2")):
        _columns(tmp_path / f"{name}-data", corrupt)
        workdir = tmp_path / name
        done = tiny.run(
            tiny.command(
                workdir, f"--config.data.dir={tmp_path / f'{name}-data'}",
                f"--config.data.schema={tmp_path / 'schema.json'}", config="configs/custom.py:scratch",
            ),
            tiny.environment(cache, PYTHONHASHSEED=seed),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        runs.append(workdir)
    assert (runs[0] / "types/thresholds.json").read_bytes() == (
        runs[1] / "types/thresholds.json"
    ).read_bytes()
    found = kill_and_resume.differences(*runs)
    assert [d for d in found if d.startswith(("matcher", "generator"))] == []
    steps = [json.loads((w / "generator/stage.json").read_text())["result"] for w in runs]
    assert steps[0] == steps[1]
    outputs = [
        [json.loads(line)["predicted"] for line in (w / "predictions/test.jsonl").read_text().splitlines()]
        for w in runs
    ]
    assert outputs[0] == outputs[1]
    assert (runs[0] / "predictions/dev.jsonl").read_bytes() == (
        runs[1] / "predictions/dev.jsonl"
    ).read_bytes()


QUICKSTART = ["--config=configs/quickstart.py", "--config.data.generated.train=100"]
BAD_INPUT = {
    "unknown key": (["--config.generator.learning_rat=1"], "learning_rat"),
    "wrong type": (["--config.generator.batch_size=many"], "batch_size"),
    "bad value": (["--config.generator.batch_size=0"], "generator.batch_size=0"),
    "bad choice": (["--config.dtype=float16"], "fp16 overflows"),
    "missing config file": (["--config=configs/nothing.py"], "configs/nothing.py"),
    "unknown variant": (["--config=configs/wnut17.py:huge"], "huge"),
    "missing data": (["--config=configs/conll2003.py:scratch", "--config.data.dir=/nowhere"], "eng.testa"),
    "no data folder given": (["--config=configs/ontonotes.py:scratch"], "LDC2013T19"),
    "bad mesh": (["--config.mesh.fsdp=3"], "mesh.fsdp=3"),
    "empty split": (["--config.data.generated.dev=0"], "dev split has no sentences"),
    "stray argument": (["quickly"], "quickly"),
    "bad stage": (["--config.stages=('training',)"], "training"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_line_and_status_2(name, tmp_path, capfd):
    from toner_jax.main import main

    arguments, expected = BAD_INPUT[name]
    workdir = tmp_path / "run"
    first = [] if any(a.startswith("--config=") for a in arguments) else QUICKSTART
    status = main([*first, f"--workdir={workdir}", *arguments])
    out, err = capfd.readouterr()
    assert status == 2
    message = [line for line in err.splitlines() if line.startswith("toner-jax:")]
    assert len(message) == 1
    assert expected in message[0]
    assert "Traceback" not in err + out
    assert not (workdir / "setup").exists()


def test_broken_line_names_file_and_line(tmp_path, capfd):
    from toner_jax.main import main

    for name in ("train.txt", "dev.txt", "test.txt"):
        (tmp_path / name).write_text("Rain\tO\nfell\tB-PER\textra\n")
    (tmp_path / "schema.json").write_text('{"person": "People."}')
    status = main(
        ["--config=configs/custom.py:scratch", f"--config.data.dir={tmp_path}", f"--workdir={tmp_path / 'run'}",
         f"--config.data.schema={tmp_path / 'schema.json'}"]
    )  # fmt: skip
    assert status == 2
    assert "train.txt:2:" in capfd.readouterr().err


def test_types_without_a_description_are_named(tmp_path, said):
    from toner_jax.config import base
    from toner_jax.runs.run import read_data

    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.txt").write_text("Ajax B-Ship\nLima B-LOC\nAcme B-Firm\n")
    config = base()
    config.data.update(name="mine", dir=str(tmp_path))
    assert read_data(config).schema.names == ("firm", "location", "ship")
    assert (
        "types without a description: firm, ship; describe them in data.schema, the matcher reads it"
        in said()
    )
    config.matcher.enabled = False
    read_data(config)
    assert sum("description" in message for message in said()) == 1
