"""A whole run that trains with explanations, and what its users see of them."""

import json
import sys

import pytest
import tiny

KEYS = {
    "generator.explanations": "template",
    "generator.epochs": 0.5,
    "matcher.epochs": 0.5,
    "text.max_target": 256,
    "text.max_source": 192,
    "decode.explain": True,
    "decode.max_length": 24,
}


@pytest.mark.long
def test_entities_stay_the_same_with_and_without_their_explanation(cache, tmp_path):
    """Asked for, explanations stand in predictions and pages; the list before them does not depend on that."""
    workdir = tmp_path / "run"
    command = tiny.command(workdir, *(f"--config.{key}={value}" for key, value in KEYS.items()))
    done = tiny.run(command, tiny.environment(cache))
    assert done.returncode == 0, done.stderr
    assert "explanations (template): of 352 sentences" in done.stderr
    rows = [json.loads(line) for line in (workdir / "predictions" / "test.jsonl").read_text().splitlines()]
    assert any(row.get("explanation") for row in rows)
    assert all(row["output"].startswith("Entity: [") for row in rows)
    page = (workdir / "report" / "test.html").read_text()
    assert '"explanation": ' in page

    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"{row['text']}\n" for row in rows[:8]))
    found = []
    for flags in ([], ["--explain"]):
        predict = [
            sys.executable,
            "-m",
            "toner_jax",
            "predict",
            f"--model={workdir}",
            f"--input={texts}",
            *flags,
        ]
        told = tiny.run(predict, tiny.environment(cache))
        assert told.returncode == 0, told.stderr
        found.append([json.loads(line) for line in told.stdout.splitlines()])
    plain, explained = found
    assert not any("explanation" in row for row in plain)
    assert all("explanation" in row for row in explained)
    for a, b in zip(plain, explained, strict=True):
        assert a["entities"] == b["entities"]
