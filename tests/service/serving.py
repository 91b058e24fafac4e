"""A service that runs in the test's own process, on a model that stands for a loaded one."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from toner_jax.client import Client
from toner_jax.errors import UserError
from toner_jax.schema import Entity, EntityType, Schema
from toner_jax.service.app import Service
from toner_jax.service.batching import Batcher
from toner_jax.service.limits import Limits
from toner_jax.service.server import served
from toner_jax.tasks.recognized import Coverage, Recognized, Score
from toner_jax.text.words import Reading

LIMITS = Limits()
SCHEMA = Schema("s", (EntityType("ship", "a ship"), EntityType("town", "a town")))


class Model:
    """Stands for a loaded model: every word "Ajax" is a ship of score 0.72. It cannot read the word "poison"."""

    reading = Reading("words", "en", True)
    schema, type_threshold, matches, note = SCHEMA, 0.5, True, "only a test"
    config = SimpleNamespace(decode=SimpleNamespace(threshold=0.1))

    def __init__(self, seconds: float = 0.0, tasks: tuple[str, ...] = ("entities",)):
        """`seconds`: that a batch takes."""
        self.seconds, self.tasks, self.asked = seconds, tasks, []
        self.turn = threading.Lock()

    def preparations(self):
        return [lambda: self.asked.append("prepared")] * 3

    def recognize(self, sentences, schema, threshold, type_threshold, *, explain=False):
        with self.turn:
            time.sleep(self.seconds)
            self.asked.append([s.text for s in sentences])
        for sentence in sentences:
            if "poison" in sentence.words:
                raise ValueError(sentence.text)
            if "heavy" in sentence.words:
                raise UserError("out of memory")
        return [self._found(s.words, schema, explain) for s in sentences], None

    def _found(self, words, schema, explain) -> Recognized:
        spans = tuple(Entity(i, i + 1, schema.names[0]) for i, word in enumerate(words) if word == "Ajax")
        scores = (Score(0.9, 0.8),) * len(spans)
        return Recognized(spans, scores, {}, "", Counter(), "why" * explain, {}, Coverage(sentences=1))

    def similarities(self, sentences, schema):
        row = [0.75, *[0.5] * (len(schema.types) - 1)]
        return np.array([row] * len(sentences), np.float32)


@contextlib.contextmanager
def running(
    model: Any, limits: Limits = LIMITS, *, token: str | None = None, **options: Any
) -> Iterator[tuple[str, Service]]:
    """The address of a service, and itself; `options` are the batcher's."""
    batcher = Batcher(model, **{"most_waiting": limits.waiting, "prepare": False, **options})
    service = Service(model, batcher, limits, name="a test", token=token)
    with served(service) as address:
        yield address, service


def client(address: str, **options: Any) -> Client:
    """One that does not wait for a full queue."""
    return Client(address, **{"retries": 0, "timeout": 20.0, **options})


def sent(
    address: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """What any client may send: the status of the answer, its headers and its body."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()


def refused(address: str, body: Any, path: str = "/predict") -> tuple[int, str]:
    """The status and the reason."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, said = sent(address, "POST", path, raw)
    return status, json.loads(said).get("error", "")
