"""`toner-jax explain` against an endpoint that fails in every way, and against kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from zlib import crc32

import pytest
from chat_server import FAILURES, Endpoint, answer_batches, serving

from toner_jax.commands.app import main
from toner_jax.data.corpora.generated import generate
from toner_jax.data.explanations import explanations_of
from toner_jax.explaining import endpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(endpoint, "_FIRST_WAIT", 0.02)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def arguments(output: Path, url: str, size: int, *more: str) -> list[str]:
    return [
        "explain", "--config=quickstart", f"--config.data.generated.train={size}", f"--output={output}", "--model=m",
        f"--base_url={url}", "--timeout=1", "--attempts=12", *more,
    ]  # fmt: skip


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wanted(size: int) -> set[str]:
    return {s.id for s in generate(0, {"train": size})["train"] if s.entities}


def check(output: Path, end: Endpoint, size: int) -> None:
    """Every sentence once, in one of the two files; contradictions in theirs; and what it says is read for training."""
    written, refused = lines(output), lines(output.with_name(f"{output.stem}.refused.jsonl"))
    ids = Counter(entry["id"] for entry in (*written, *refused))
    assert ids.keys() == wanted(size)
    assert set(ids.values()) == {1}
    wrong = sum(end.contradicts(prompt) for prompt in end.seen)
    assert len(refused) == wrong == sum(entry["reason"] == "contradicts" for entry in refused)
    assert end.contradict == 0 or wrong > 0
    read = explanations_of(str(output), generate(0, {"train": size})["train"], None)
    assert read.keys() == {entry["id"] for entry in written}


@pytest.mark.slow
def test_every_failure_is_outlived(tmp_path, capsys):
    output = tmp_path / "e.jsonl"
    end = Endpoint(fail=0.4, contradict=9)
    with serving(end) as url:
        assert main(arguments(output, url, 120, "--price=2,4")) == 1
        check(output, end, 120)
        assert end.failures.keys() - {""} == set(FAILURES)
        assert end.most <= 8
        out = capsys.readouterr().out
        wrong = len(lines(output.with_name("e.refused.jsonl")))
        assert f"{len(wanted(120)) - wrong:,} written" in out
        assert f"{wrong} contradicts" in out
        assert max(end.answered.values()) == 1
        assert "cost 0.0" in out  # 100 tokens at 2 and 20 at 4 a million, of each
        before = dict(end.seen)
        assert (
            main(arguments(output, url, 120)) == 0
        )  # nothing is left, and what was refused is not asked again
        assert end.seen == before


def test_limits(tmp_path, capsys):
    output = tmp_path / "e.jsonl"
    end = Endpoint(wait=0.02)
    with serving(end) as url:
        assert main(arguments(output, url, 100, "--limit=7", "--concurrency=3")) == 0
        assert len(lines(output)) == 7
        assert end.most <= 3
        assert main(arguments(output, url, 100, "--model=other")) == 2
        assert "explains train-0 as another prompt or model would have it" in capsys.readouterr().err
        other = tmp_path / "f.jsonl"
        assert main(arguments(other, url, 100, "--price=2000,4000", "--max_cost=9", "--max_tokens=100")) == 1
        spent = sum(entry["cost"] for entry in lines(other))
        assert 8 < spent <= 9
        assert main(arguments(other, url, 100, "--price=2000,4000", "--max_cost=9", "--max_tokens=100")) == 1
        assert sum(entry["cost"] for entry in lines(other)) <= 9
    assert main(arguments(output, url, 100, "--max_cost=1")) == 2
    assert "--max_cost needs --price" in capsys.readouterr().err


def test_a_dry_run_asks_nothing(tmp_path, capsys):
    end = Endpoint()
    with serving(end) as url:
        assert main(arguments(tmp_path / "new/e.jsonl", url, 50, "--dry_run", "--price=1,1")) == 0
    shown = capsys.readouterr().out
    assert not end.seen
    assert not list(tmp_path.iterdir())
    assert f"{len(wanted(50))} requests for {len(wanted(50))} sentences" in shown
    assert "[system]" in shown
    assert "at most" in shown


@pytest.mark.parametrize(("status", "said"), [(401, "the key is refused"), (404, "no such address or model")])
def test_what_nobody_gets_an_answer_to_ends_at_once(tmp_path, capsys, status, said):
    end = Endpoint(status=status)
    with serving(end) as url:
        assert main(arguments(tmp_path / "e.jsonl", url, 200)) == 2
    assert sum(end.seen.values()) <= 16
    errors = capsys.readouterr().err.splitlines()
    assert [line for line in errors if line.startswith("toner-jax:")] == [errors[-1]]
    assert f"the endpoint answers {status}, {said}" in errors[-1]


def test_who_cannot_be_asked(tmp_path, capsys, monkeypatch):
    command = ["explain", "--config=quickstart", "--config.data.generated.train=30", "--model=m"]
    assert main([*command, f"--output={tmp_path / 'e.jsonl'}"]) == 2
    assert "no key: set OPENAI_API_KEY" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "openai", None)
    assert main([*command, f"--output={tmp_path / 'e.jsonl'}"]) == 2
    assert "pip install 'toner_jax[explain]'" in capsys.readouterr().err
    (tmp_path / "other.jsonl").write_text('{"id": "train-0", "explanation": "x"}\n')
    assert main([*command, f"--output={tmp_path / 'other.jsonl'}"]) == 2
    assert "other.jsonl:1: no line that this command has written" in capsys.readouterr().err


def test_an_unreachable_endpoint(tmp_path, capsys):
    url = "http://127.0.0.1:9/v1"
    assert main([*arguments(tmp_path / "e.jsonl", url, 4)[:-1], "--attempts=2"]) == 1
    captured = capsys.readouterr()
    assert "unanswered" in captured.out
    assert "no connection" in captured.err
    # What answers none of the first is not asked ten thousand times.
    assert main([*arguments(tmp_path / "e.jsonl", url, 500)[:-1], "--attempts=2"]) == 2
    assert "no question was answered: no connection" in capsys.readouterr().err.splitlines()[-1]


def test_cut_answers_are_refused_once_and_paid_once(tmp_path, capsys):
    output, end = tmp_path / "e.jsonl", Endpoint(cut=10)
    with serving(end) as url:
        assert main(arguments(output, url, 60, "--price=10,10")) == 1
        refused = lines(output.with_name("e.refused.jsonl"))
        assert refused
        assert {entry["reason"] for entry in refused} == {"malformed"}
        assert {entry["what"] for entry in refused} == {"cut at max_tokens=500"}
        asked = sum(end.seen.values())
        assert asked == len(wanted(60))
        assert main(arguments(output, url, 60)) == 0
        assert sum(end.seen.values()) == asked
        end.cut = 0
        assert main(arguments(output, url, 60, "--again", "--max_tokens=900", "--price=10,10")) == 0
    assert {entry["id"] for entry in lines(output)} == wanted(60)
    # 120 tokens a request: what was refused has been paid, too.
    assert f"cost {(asked + len(refused)) * 120 * 10 / 1e6:.2f} in all" in capsys.readouterr().out


def test_the_later_name_of_max_tokens(tmp_path):
    output, end = tmp_path / "e.jsonl", Endpoint(later_name=True)
    with serving(end) as url:
        assert main(arguments(output, url, 20)) == 0
    check(output, end, 20)


def test_a_torn_line_is_removed(tmp_path):
    output, end = tmp_path / "e.jsonl", Endpoint()
    with serving(end) as url:
        assert main(arguments(output, url, 40, "--limit=5")) == 0
        with output.open("a") as file:
            file.write('{"id": "train-9", "expl')
        assert main(arguments(output, url, 40)) == 0
    check(output, end, 40)


def test_a_dry_run_changes_no_file(tmp_path, capsys):
    """A line that was torn is left out of what it reads, and left where it is."""
    output = tmp_path / "e.jsonl"
    with serving(Endpoint()) as url:
        assert main(arguments(output, url, 60, "--limit=4")) in (0, 1)
        with output.open("a") as file:
            file.write('{"id": "to')
        before, names = output.read_bytes(), {p.name for p in tmp_path.iterdir()}
        assert main(arguments(output, url, 60, "--dry_run")) == 0
    assert "4 explained" in capsys.readouterr().err
    assert (output.read_bytes(), {p.name for p in tmp_path.iterdir()}) == (before, names)


def test_batches(tmp_path, capsys):
    output, end = tmp_path / "e.jsonl", Endpoint(contradict=9)
    with serving(end) as url:
        assert main(arguments(output, url, 60, "--limit=4")) in (0, 1)
        assert main(arguments(output, url, 60, "--batch=poll")) == 2
        assert "no batch of" in capsys.readouterr().err
        for _ in range(2):  # the second has nothing to send
            assert main(arguments(output, url, 60, "--batch=submit")) == 0
        assert len(end.batches) == 1
        (output.parent / "e.batches.json").unlink()  # as if killed before it was written
        assert main(arguments(output, url, 60, "--batch=submit")) == 0
        assert len(end.batches) == 1
        assert main(arguments(output, url, 60, "--batch=poll")) == 1
        assert main(arguments(output, url, 60, "--batch=collect")) == 1
        answer_batches(end, leave_out=3)
        assert main(arguments(output, url, 60, "--batch=poll")) == 0
        assert main(arguments(output, url, 60, "--batch=collect", "--price=1,2")) == 1
        assert "3 unanswered" in capsys.readouterr().out
        questions = [text for name, text in end.files.items() if name.startswith("file")]
        bodies = [json.loads(row)["body"] for text in questions for row in text.splitlines()]
        assert bodies
        assert all("max_completion_tokens" in body and "max_tokens" not in body for body in bodies)
        sent = Counter(
            row for name, text in end.files.items() if name.startswith("file") for row in text.splitlines()
        )
        assert main(arguments(output, url, 60, "--batch=submit")) == 0
        answer_batches(end)
        assert main(arguments(output, url, 60, "--batch=collect")) in (0, 1)
        for name, text in end.files.items():
            for row in text.splitlines() if name.startswith("file") else ():
                sent[row] += 1
                end.seen[json.loads(row)["body"]["messages"][-1]["content"]] += 1
        check(output, end, 60)


def killed(tmp_path: Path, size: int, kills: int) -> tuple[Endpoint, Path]:
    """The endpoint and the file after so many kills, which come while answers come, and a start to the end."""
    output, end = tmp_path / "e.jsonl", Endpoint(fail=0.3, contradict=12, wait=0.03)
    recorded: set[str] = set()
    known: dict[str, int] = {}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "k"}
    with serving(end) as url:
        command = [sys.executable, "-m", "toner_jax", *arguments(output, url, size)]
        for k in range(kills):
            before, goal = len(lines(output)), (k + 1) * size * 0.8 / (kills + 1)
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            while len(output.read_bytes().split(b"\n")) - 1 <= goal if output.exists() else True:
                time.sleep(0.02)
                assert process.poll() is None, process.communicate()
            process.send_signal(
                (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[0 if k % 4 < 2 else k % 4 - 1]
            )
            process.communicate(timeout=30)
            assert process.returncode == {0: -9, 1: -9, 2: 75, 3: 130}[k % 4]
            assert len(output.read_bytes().split(b"\n")) - 1 > before
            recorded |= {entry["explanation"] for entry in lines(output)}
            asked = {f"because of {crc32(p.encode())}.": n for p, n in end.seen.items()}
            known = {text: asked[text] for text in recorded} | known
        assert main(arguments(output, url, size)) in (0, 1)
    asked = {f"because of {crc32(p.encode())}.": n for p, n in end.seen.items()}
    assert {text: asked[text] for text in recorded} == known  # nobody asks again for what is recorded
    return end, output


@pytest.mark.slow
@pytest.mark.parametrize(("size", "kills"), [(120, 1), pytest.param(1_180, 10, marks=pytest.mark.long)])
def test_killed(tmp_path, size, kills):
    end, output = killed(tmp_path, size, kills)
    check(output, end, size)
    # Answered twice is only what was under way when a kill came.
    assert sum(n - 1 for n in end.answered.values()) <= 8 * kills
    assert len(end.answered) == len(wanted(size))
    print(
        len(wanted(size)), sum(n - 1 for n in end.answered.values()), len(lines(output)), dict(end.failures)
    )
