"""Many label sets and many words through one loaded model: what is compiled for them, and what they leave in memory.

    python tests/stress/label_sets.py --model=RUN --sets=200
    python tests/stress/label_sets.py --model=RUN --sets=1000 --threads=8 --words=300000

Each set has 1 to 100 labels. The first form asks for all of them twice, of one text and every tenth time of many, and
counts, by JAX's own events, the programs that are compiled meanwhile: at most four of each kind, none the second time.
The second asks from several threads, with texts of words that were never seen before, and watches the resident memory.
"""

from __future__ import annotations

import argparse
import itertools
import random
import string
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import jax

import toner_jax
from toner_jax.common.console import show_messages

COMPILED = "/jax/core/compile/backend_compile_duration"
TEXTS = ["Judge Ivan Borcalski married Professor Jaman in Selqua in 1973.", "No name at all", "Rita of Lima"]


class Compiled:
    """The programs that JAX compiled since it was made, by name."""

    def __init__(self) -> None:
        self.names: Counter[str] = Counter()
        jax.monitoring.register_event_duration_secs_listener(self._heard)

    def _heard(self, event: str, _: float, **about: object) -> None:
        if event == COMPILED:
            self.names[str(about.get("fun_name", "?"))] += 1

    def take(self) -> dict[str, int]:
        """Those since the last call."""
        names, self.names = self.names, Counter()
        return dict(names)


def label_sets(count: int, most: int, seed: int = 0) -> list[dict[str, str]]:
    """Sets of 1 to `most` short labels, some of them described at length."""
    rng = random.Random(seed)
    names = ["".join(p) for p in itertools.product(string.ascii_lowercase, repeat=2)]
    sets = []
    for _ in range(count):
        chosen = rng.sample(names, rng.randint(1, most))
        sets.append({name: " ".join(rng.choices(names, k=rng.choice((0, 3, 30, 90)))) for name in chosen})
    return sets


def resident() -> float:
    """MiB of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def new_words(rng: random.Random) -> Iterator[str]:
    while True:
        yield "".join(rng.choices(string.ascii_letters, k=rng.randint(6, 12)))


def two_passes(ner: toner_jax.Ner, sets: list[dict[str, str]]) -> bool:
    compiled = Compiled()
    right = True
    for attempt in (1, 2):
        begun = time.perf_counter()
        for i, labels in enumerate(sets):
            ner.predict(TEXTS[:1], labels)
            if i % 10 == 0:
                ner.predict(TEXTS * 4, labels)
        found = compiled.take()
        print(
            f"pass {attempt}: {time.perf_counter() - begun:.0f} s, {resident():.0f} MiB, compiled {found}",
            flush=True,
        )
        # A decoding program is for one text or many, of the usual room or, for long outputs, of all there is.
        most = {"jit(_decode)": 16, "jit(<lambda>)": 4 + 4}
        right &= all(n <= most.get(name, 4) for name, n in found.items()) if attempt == 1 else not found
    return right


def from_threads(ner: toner_jax.Ner, sets: list[dict[str, str]], threads: int, words: int) -> bool:
    """Whether no call failed, and the second half of them left memory as it was to 5 %."""
    share = words // len(sets) + 1
    seen: list[float] = []
    lock = threading.Lock()

    def ask(i: int) -> None:
        source = new_words(random.Random(i))
        text = " ".join(itertools.islice(source, share))
        found = ner.predict([text], sets[i], info=True)
        assert found[0]["info"]["sentences"] >= 1
        with lock:
            seen.append(resident())
            if len(seen) % 50 == 0:
                print(f"{len(seen)} sets, {seen[-1]:.0f} MiB", flush=True)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ask, range(len(sets))))
    half, end = max(seen[: len(seen) // 2]), max(seen)
    print(f"most memory: {half:.0f} MiB in the first half, {end:.0f} MiB in all")
    return end <= half * 1.05


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--most", type=int, default=100, help="labels of a set")
    parser.add_argument("--max_source", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--words", type=int, default=300_000)
    options = parser.parse_args()
    show_messages()
    config = toner_jax.load(options.model).config.copy_and_resolve_references()
    config.text.max_source = options.max_source  # room for a hundred labels
    ner = toner_jax.Ner(options.model, config=config)
    sets = label_sets(options.sets, options.most)
    ner.predict(TEXTS)  # with its own types
    if options.threads:
        return 0 if from_threads(ner, sets, options.threads, options.words) else 1
    return 0 if two_passes(ner, sets) else 1


if __name__ == "__main__":
    sys.exit(main())
