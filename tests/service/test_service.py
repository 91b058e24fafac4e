"""What the service answers, and how it refuses."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from serving import Model, client, refused, running, sent

from toner_jax.client import Client, ServiceError
from toner_jax.service.limits import Limits
from toner_jax.tasks.explanations import Explanations

TEXT = "The Ajax sank. It was old."


@pytest.fixture(scope="module")
def address():
    limits = Limits(body=20_000, texts=5, labels=4, waiting=64, seconds=10)
    with running(Model(tasks=(Explanations.name,)), limits) as (found, _):
        yield found


def test_entities(address):
    [found] = client(address).predict([TEXT])
    assert found == [
        {
            "start": 4,
            "end": 8,
            "text": "Ajax",
            "label": "ship",
            "score": 0.72,
            "type_score": 0.9,
            "span_score": 0.8,
        }
    ]


def test_of_several_texts_each_has_its_own(address):
    found = client(address).predict(["", TEXT, "Rain.", "😀 Ajax"])
    assert [[(e["start"], e["text"]) for e in text] for text in found] == [
        [],
        [(4, "Ajax")],
        [],
        [(2, "Ajax")],
    ]
    assert client(address).predict([]) == []


def test_labels_and_thresholds(address):
    ask = client(address).predict
    assert [e["label"] for e in ask([TEXT], ["Boat", "isle"])[0]] == ["Boat"]
    assert [e["label"] for e in ask([TEXT], {"Vessel": "what floats"})[0]] == ["Vessel"]
    assert ask([TEXT], threshold=0.73) == [[]]
    assert len(ask([TEXT], threshold=0.0, type_threshold=-1.0, flat=True)[0]) == 1


def test_lines_as_they_are_read(address):
    parts = list(client(address).stream([TEXT, "Ajax"]))
    assert [(p["text"], p["last"], len(p["entities"])) for p in parts] == [
        (0, False, 1),
        (0, True, 0),
        (1, True, 1),
    ]


def test_types_and_explanations(address):
    assert client(address).match_types(["Rain.", TEXT]) == [{"ship": 0.75, "town": 0.5}] * 2
    [found] = client(address).explain([TEXT])
    assert (len(found["entities"]), found["explanation"]) == (1, "why\nwhy")


def test_what_it_says_of_itself(address):
    about = client(address).model()
    assert (about["model"], about["note"], about["explains"]) == ("a test", "only a test", True)
    assert {type(about["limits"][name]) for name in ("body", "texts", "labels", "waiting")} == {int}
    assert about["labels"][0] == {"name": "ship", "description": "a ship"}
    assert sent(address, "GET", "/health")[0] == 200
    schema = json.loads(sent(address, "GET", "/openapi.json")[2])
    assert {"/predict", "/match_types", "/explain", "/health", "/ready", "/metrics", "/model"} <= set(
        schema["paths"]
    )
    asked = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "threshold" in asked["properties"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is empty; expected an object"),
        (b" \n", "the body is empty; expected an object"),
        (b'{"texts": [', "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 10_000, "JSON"),
        (b'{"texts": ["\\ud800"]}', "JSON"),
        (b'{"texts": ["a"], "threshold": NaN}', "threshold"),
        ([], "expected an object"),
        ({"text": "a"}, "texts"),
        ({"texts": "a"}, "texts: expected a list of texts; wrap a single one: [text]"),
        ({"texts": 1}, "texts: expected a list"),
        ({"texts": [1]}, "texts.0: expected a string"),
        ({"texts": ["a"], "more": 1}, "more: no such key; there are texts"),
        ({"texts": ["a"], "treshold": 0.5}, "treshold: no such key; did you mean threshold?"),
        ({"texts": ["a"], "threshold": 1.5}, "threshold"),
        ({"texts": ["a"], "type_threshold": -2}, "type_threshold"),
        ({"texts": ["a"], "labels": []}, "labels is empty"),
        ({"texts": ["a"], "labels": ["a", "A"]}, "same type"),
        ({"texts": ["a"], "labels": ["[,]"]}, "no character"),
        ({"texts": ["a"], "labels": {"a": 1}}, "labels"),
        ({"texts": ["a"], "stream": "perhaps"}, "stream: expected true or false"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(address, body, reason):
    status, said = refused(address, body)
    assert status == 422
    assert reason in said
    assert "\n" not in said
    assert "http" not in said  # no library's help


def test_a_text_is_not_repeated_in_a_refusal(address):
    _, said = refused(address, {"texts": ["my secret"], "my secret": "my secret"})
    assert said.count("my secret") == 1  # the key's name


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"texts": ["a" * 20_001]}, "20,000 bytes"),
        ({"texts": ["a"] * 6}, "6 texts"),
        ({"texts": ["a"], "labels": list("abcde")}, "5 labels"),
    ],
)
def test_what_is_too_much_is_refused(address, body, reason):
    status, said = refused(address, body)
    assert (status, reason in said) == (413, True)


@pytest.mark.parametrize("size", [30_000, 5_000_000])
def test_a_client_hears_that_a_body_is_too_large(address, size):
    for asked in (["a" * size], [TEXT, "a" * size]):
        with pytest.raises(ServiceError, match="larger than") as caught:
            client(address).predict(asked)
        assert caught.value.status == 413


def test_labels_that_no_prompt_holds_cost_little(address):
    begin = time.monotonic()
    assert refused(address, {"texts": ["a"], "labels": ["b" * 201]})[0] == 413
    assert refused(address, {"texts": ["a"], "labels": {"b": "c" * 2001}})[0] == 413
    assert time.monotonic() - begin < 5


def test_a_client_may_ask_while_it_reads_a_stream(address):
    shared = client(address)
    found = []
    for part in shared.stream([TEXT] * 4):
        assert shared.predict(["Ajax"])[0]
        found.append(part["last"])
    assert found.count(True) == 4
    both = list(zip(shared.stream([TEXT] * 3), shared.stream([TEXT] * 3), strict=True))
    assert len(both) == 6
    next(shared.stream([TEXT] * 5))  # and may leave one
    assert shared.predict(["Ajax"])[0]


@pytest.mark.slow
def test_a_body_without_a_length_is_counted(address):
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as s:
        s.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(30):
            s.sendall(b"400\r\n" + b"a" * 1024 + b"\r\n")
        assert s.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_other_paths_and_methods(address):
    assert sent(address, "GET", "/nowhere")[0] == 404
    assert sent(address, "GET", "/predict")[0] == 405
    assert sent(address, "HEAD", "/health")[0] == sent(address, "HEAD", "/ready")[0] == 200
    assert json.loads(sent(address, "PUT", "/predict")[2]) == {"error": "Method Not Allowed; use POST"}


def test_a_slow_body_is_not_waited_for():
    with running(Model(), Limits(seconds=0.3)) as (address, _):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as s:
            s.sendall(b'POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"texts"')
            assert s.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_what_takes_too_long_is_given_up():
    model = Model(seconds=0.2)
    with running(model, Limits(seconds=0.5)) as (address, service):
        with pytest.raises(ServiceError, match=r"more than 0\.5 s") as caught:
            client(address).predict(["It sank. " * 400])
        assert caught.value.status == 503
        while service._batcher.waiting:
            time.sleep(0.01)
        assert sum(map(len, model.asked)) < 400


def test_who_goes_away_is_not_read_for():
    model = Model(seconds=0.1)
    with running(model) as (address, service):
        with pytest.raises(ServiceError, match="does not answer"):
            client(address, timeout=0.5).predict(["It sank. " * 4000])
        end = time.monotonic() + 10
        while service._batcher.waiting and time.monotonic() < end:
            time.sleep(0.01)
        assert sum(map(len, model.asked)) < 1000


@pytest.mark.slow
def test_a_full_queue_says_when_to_come_again():
    with running(Model(seconds=0.5), Limits(waiting=2)) as (address, _), ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda _: sent(address, "POST", "/predict", b'{"texts": ["Ajax"]}'), range(12))
        )
        assert {status for status, _, _ in answers} == {200, 429}
        assert {headers.get("retry-after") for status, headers, _ in answers if status == 429} == {"1"}
        # A client that waits is answered.
        patient = Client(address, retries=30)
        assert all(pool.map(lambda _: patient.predict(["Ajax"])[0], range(6)))


def test_a_defect_is_said_without_the_text(said):
    with running(Model()) as (address, _):
        status, reason = refused(address, {"texts": ["The poison sank."]})
        assert status == 500
        assert "defect" in reason
        assert client(address).predict([TEXT])[0]
        lines = list(client(address).stream(["Ajax"]))
        assert len(lines) == 1
    assert any("ValueError at" in line for line in said())
    assert not any("poison" in line for line in said())


def test_memory_that_runs_out_is_the_request_s_own():
    with running(Model()) as (address, _):
        assert refused(address, {"texts": ["A heavy ship."]}) == (422, "out of memory")


def test_a_token():
    with running(Model(), token="s3cret") as (address, _):
        for token in (None, "other", "s3cre", "s3crett", "é"):
            with pytest.raises(ServiceError) as caught:
                client(address, token=token and token.encode().decode("latin-1")).predict([TEXT])
            assert caught.value.status == 401
        assert client(address, token="s3cret").predict([TEXT])[0]
        for path in ("/metrics", "/model", "/openapi.json"):
            assert sent(address, "GET", path)[0] == 401
        for path in ("/", "/page.js", "/page.css", "/health", "/ready"):
            assert sent(address, "GET", path)[0] == 200


def test_readiness():
    go_on = threading.Event()
    model = Model()
    model.preparations = lambda: [lambda: go_on.wait(20)]
    with running(model, prepare=True) as (address, service):
        assert not client(address).is_ready()
        assert client(address).predict([TEXT])[0]  # all the same
        go_on.set()
        client(address).wait(10)
        service.drain()
        assert not client(address).is_ready()
        status, headers, _ = sent(address, "POST", "/predict", b'{"texts": []}')
        assert (status, headers["connection"]) == (200, "close")


def test_metrics(address):
    client(address).predict([TEXT])
    sent(address, "GET", "/any/path/at/all")
    text = sent(address, "GET", "/metrics")[2].decode()
    assert 'toner_requests_total{path="/predict",status="200"}' in text
    assert "toner_batch_sentences_sum" in text
    assert "any/path" not in text
    assert "Ajax" not in text


@pytest.mark.slow
def test_answers_do_not_mix():
    """Many clients, each with words of its own: whatever is read together, each gets what is its own."""
    with running(Model(seconds=0.002)) as (address, _), ThreadPoolExecutor(16) as pool:
        shared = Client(address)

        def one(i: int) -> None:
            rng = random.Random(i)
            for _ in range(20):
                at = rng.randrange(30)
                text = " ".join(["Ajax" if k == at else f"w{i}" for k in range(30)])
                label = f"label {i % 3}"
                [[entity]] = shared.predict([text], [label])
                assert (entity["start"], entity["label"]) == (text.index("Ajax"), label)

        list(pool.map(one, range(16)))
