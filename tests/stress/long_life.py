"""Many texts, and texts of many kinds, through one loaded model: memory stays as it is.

    python tests/stress/long_life.py --model=RUN --texts=1000000
    python tests/stress/long_life.py --model=RUN --texts=20000 --most=2000      # shorter: memos are full at once

Every text has words that no other has, now and then one of thousands of characters, and every hundredth text comes with
labels of its own. The resident memory is read as they pass; its most in the second half has to be that of the first, to
5 %.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from label_sets import label_sets, new_words, resident

import toner_jax
from toner_jax.pipeline import matcher_features
from toner_jax.text import ids

BATCH = 500  # texts of a call
LONG = 3_000  # characters of a word that is long
SETS = label_sets(1_000, 5)


def texts(seed: int, count: int) -> Iterator[str]:
    """Short texts of new words."""
    rng = random.Random(seed)
    words = new_words(rng)
    for i in range(count):
        said = list(itertools.islice(words, rng.randint(3, 8)))
        if i % 50 == 0:
            said[1] = "".join(rng.choices("abcdefghij", k=LONG))
        yield f"Judge {said[0].title()} met {' '.join(said[1:])}."


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--most", type=int, default=0, help="words that are memoised; the package's by default"
    )
    parser.add_argument("--max_length", type=int, default=0, help="tokens of an output; the run's by default")
    options = parser.parse_args()
    if options.most:
        ids.MOST_WORDS = matcher_features.MOST_WORDS = options.most
    config = toner_jax.load(options.model).config.copy_and_resolve_references()
    config.decode.max_length = options.max_length or config.decode.max_length
    ner = toner_jax.Ner(options.model, config=config)
    calls, seen, lock, begun = options.texts // BATCH, list[float](), threading.Lock(), time.monotonic()

    def ask(call: int) -> None:
        given = list(texts(call, BATCH))
        found = [part for part in ner.stream(given) if part.is_last]
        assert len(found) == BATCH
        for i in range(0, BATCH, 100):
            ner.predict(given[i : i + 1], SETS[(call * 5 + i // 100) % len(SETS)])
        with lock:
            seen.append(resident())
            if len(seen) % max(1, calls // 20) == 0:
                seconds = time.monotonic() - begun
                print(f"{len(seen) * BATCH:,} texts, {seconds:.0f} s, {seen[-1]:.0f} MiB", flush=True)

    with ThreadPoolExecutor(options.threads) as pool:
        list(pool.map(ask, range(calls)))
    half, end = max(seen[: len(seen) // 2]), max(seen)
    print(f"most memory: {half:.0f} MiB in the first half, {end:.0f} MiB in all")
    return 0 if end <= half * 1.05 else 1


if __name__ == "__main__":
    sys.exit(main())
