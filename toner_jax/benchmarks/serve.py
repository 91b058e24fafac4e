"""`toner-jax bench serve`: requests that are read together, beside the same service reading them one by one.

Both run in this process, on the same model, one after the other in turns; clients are a process of their own, each with
a connection that stays open, and ask again as soon as they are answered.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toner_jax.client import Client
from toner_jax.common import cli
from toner_jax.common.console import say, show

_CLIENTS = """
import json, sys, threading, time
from toner_jax.client import Client
address, seconds, count = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
texts = json.load(sys.stdin)
took, failed = [], []
def ask(number):
    client, end = Client(address, timeout=120), time.perf_counter() + seconds
    for text in texts[number::count] * 1000:
        begin = time.perf_counter()
        if begin > end:
            return
        try:
            client.predict([text])
        except Exception as error:
            failed.append(str(error))
        took.append(time.perf_counter() - begin)
threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
json.dump([took, failed], sys.stdout)
"""


def add_options(parser: cli.Parser) -> None:
    """The flags."""
    parser.add_argument("--model", type=cli.some, default="quickstart", help="what toner_jax.load takes")
    parser.add_argument("--clients", type=cli.positive, default=16, help="that ask at the same time")
    parser.add_argument("--seconds", type=cli.positive, default=20, help="of a turn")
    parser.add_argument("--rounds", type=cli.positive, default=3, help="turns of each contender")
    parser.add_argument("--json", type=cli.output, help="all figures, as a file")


def run(options: argparse.Namespace) -> None:
    """Measures, and shows a table."""
    from toner_jax.api import Ner
    from toner_jax.data.corpora.generated import generate
    from toner_jax.parallel.runtime import set_up_compilation

    texts = [s.text for s in generate(1, {"test": 2000})["test"]]
    set_up_compilation()
    ner = Ner(options.model)
    found: dict[str, list[dict[str, Any]]] = {"together": [], "one by one": []}
    with _served(ner, 0) as together, _served(ner, 1) as single:
        say("compiling")
        Client(together, timeout=600).wait(600)
        for turn in range(-1, options.rounds):  # the first one is not counted
            for name, address in (("together", together), ("one by one", single)):
                figures = _asked(address, options, texts)
                if turn >= 0:
                    found[name].append(figures)
    _show(found, options)


@contextmanager
def _served(ner: Any, most_together: int) -> Iterator[str]:
    """The address of a service."""
    from toner_jax.service.app import Service
    from toner_jax.service.batching import Batcher
    from toner_jax.service.limits import Limits
    from toner_jax.service.server import served

    limits = Limits()
    batcher = Batcher(
        ner, most_waiting=limits.waiting, most_together=most_together, prepare=most_together != 1
    )
    with served(Service(ner, batcher, limits, name="benchmark")) as address:
        yield address


def _asked(address: str, options: argparse.Namespace, texts: list[str]) -> dict[str, Any]:
    """The figures of one turn: requests a second, and milliseconds that a request takes."""
    command = [sys.executable, "-c", _CLIENTS, address, str(options.seconds), str(options.clients)]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True)
    took, failed = json.loads(done.stdout)
    took.sort()
    return {
        "requests_per_second": len(took) / options.seconds,
        "errors": len(failed),
        **{f"p{p}_ms": 1000 * took[min(len(took) - 1, len(took) * p // 100)] for p in (50, 95, 99)},
    }


def _show(found: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> None:
    median = {
        name: {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        for name, turns in found.items()
    }
    pairs = zip(found["together"], found["one by one"], strict=True)
    ratios = [a["requests_per_second"] / b["requests_per_second"] for a, b in pairs]
    show(f"{options.clients} clients, {options.rounds} turns of {options.seconds} s; medians")
    show("            requests/s  errors    p50 ms    p95 ms    p99 ms")
    for name, m in median.items():
        times = "".join(f"{m[f'p{p}_ms']:10.1f}" for p in (50, 95, 99))
        show(f"{name:<12}{m['requests_per_second']:10.1f}{sum(t['errors'] for t in found[name]):8d}{times}")
    show(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    if options.json:
        Path(options.json).write_text(json.dumps({"turns": found, "ratios": ratios}, indent=2) + "\n")
