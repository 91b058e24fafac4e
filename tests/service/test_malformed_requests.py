"""Whatever is sent, the service answers, and says what is wrong with it."""

from __future__ import annotations

import http.client
import json
import random

import pytest
from serving import Model, client, running

from toner_jax.service.limits import Limits

TEXT = "The Ajax sank. It was old."


@pytest.mark.slow
def test_10_000_malformed_requests():
    """No answer is a defect of the service."""
    rng = random.Random(0)
    values = [
        None,
        True,
        0,
        -1,
        1.5,
        1e400,
        "",
        "a",
        "\x00",
        "\ud800",
        "ل" * 50,
        [],
        ["a"],
        {},
        {"a": None},
        [[]],
        "9" * 5000,
    ]
    whole = json.dumps({"texts": ["The Ajax sank."], "labels": {"ship": "a ship"}, "threshold": 0.5}).encode()

    def body() -> bytes:
        kind = rng.randrange(4)
        if kind == 0:  # any values for the keys
            keys = rng.sample(
                ["texts", "labels", "threshold", "type_threshold", "flat", "stream", "x"], rng.randrange(6)
            )
            return json.dumps({key: rng.choice(values) for key in keys}).encode()
        if kind == 1:  # a part of what is right
            return whole[: rng.randrange(len(whole))]
        if kind == 2:  # with other bytes in it
            broken = bytearray(whole)
            for _ in range(rng.randrange(1, 6)):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            return bytes(broken)
        return rng.randbytes(rng.randrange(200))

    statuses = set()
    with running(Model(), Limits(waiting=10_000)) as (address, _):
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
        for _ in range(10_000):
            path = rng.choice(["/predict", "/match_types", "/explain"])
            connection.request(
                "POST", path, body(), {"Content-Type": rng.choice(["application/json", "text/plain", "x"])}
            )
            answer = connection.getresponse()
            said = answer.read()
            statuses.add(answer.status)
            assert answer.status < 500, said
            if answer.status != 200:
                assert list(json.loads(said)) == ["error"]
        connection.close()
        assert client(address).predict([TEXT])[0]
    assert statuses >= {200, 422}
