"""Sentences of many requests are read together, and each request gets what is its own."""

from __future__ import annotations

import threading
import time

import pytest
from serving import SCHEMA, Model

from toner_jax.inference.labels import read_labels
from toner_jax.service import batching
from toner_jax.service.batching import Batcher, ClosedError, FullError
from toner_jax.service.requests import Question, Wanted, coverage_of


class Told:
    """What a request is told."""

    def __init__(self):
        self.parts, self.error, self.ended = [], None, threading.Event()

    def __call__(self, said):
        assert not self.ended.is_set(), "told something after the end"
        if said is None or isinstance(said, BaseException):
            self.error = said
            self.ended.set()
        else:
            self.parts += said

    def wait(self):
        assert self.ended.wait(20)
        return self.parts


def wanted(**question) -> Wanted:
    return Wanted(read_labels(SCHEMA, SCHEMA), Question(SCHEMA, **question))


@pytest.fixture
def served():
    made = []

    def make(seconds=0.0, **options):
        model = Model(seconds)
        made.append(Batcher(model, **{"prepare": False, **options}))
        return model, made[-1]

    yield make
    for batcher in made:
        batcher.close()


def test_requests_that_wait_are_read_together(served):
    model, batcher = served(0.2)
    told = [Told() for _ in range(30)]
    for i, own in enumerate(told):
        batcher.submit([f"Text {i}."], wanted(), own)
    assert [[(p.text, p.is_last) for p in own.wait()] for own in told] == [[(0, True)]] * 30
    assert sum(map(len, model.asked)) == 30
    assert len(model.asked) <= 4  # one or two that came first, and then all


def test_a_long_document_holds_up_nobody(served):
    model, batcher = served(0.01)
    long, short = Told(), Told()
    batcher.submit(["It sank there. " * 400], wanted(), long)
    while not long.parts:  # its answers come as they are found
        time.sleep(0.001)
    batcher.submit(["Ajax sank."], wanted(), short)
    short.wait()
    assert not long.ended.is_set()
    assert len(long.wait()) == 400
    assert [p.is_last for p in long.parts] == [False] * 399 + [True]
    assert max(map(len, model.asked)) == batching.SENTENCES


def test_a_cancelled_request_is_read_no_further(served):
    model, batcher = served(0.01)
    told = Told()
    request = batcher.submit(["It sank there. " * 2000], wanted(), told)
    while not told.parts:
        time.sleep(0.001)
    request.cancelled = True
    other = Told()
    batcher.submit(["Ajax sank."], wanted(), other)
    other.wait()
    assert not told.ended.is_set()
    assert sum(map(len, model.asked)) < 1000
    while batcher.waiting:
        time.sleep(0.001)


def test_what_fails_fails_alone(served, said):
    _model, batcher = served(0.05)
    first, good, bad, heavy = Told(), Told(), Told(), Told()
    batcher.submit(["Wait."], wanted(), first)
    for text, told in (("Ajax sank.", good), ("The poison sank.", bad), ("A heavy ship.", heavy)):
        batcher.submit([text], wanted(), told)
    assert len(good.wait()) == 1
    assert good.error is None
    assert bad.wait() == []
    assert isinstance(bad.error, ValueError)
    assert heavy.wait() == []
    assert str(heavy.error) == "out of memory"
    assert any("ValueError at" in line for line in said())
    assert not any("poison" in line for line in said()), "a text is logged"


def test_other_questions_are_read_apart(served):
    _model, batcher = served(0.05)
    told = {key: [Told() for _ in range(3)] for key in (None, 0.5, "match", "explain")}
    for i in range(3):
        for key, own in told.items():
            question = {key: True} if isinstance(key, str) else {"type_threshold": key}
            batcher.submit([f"Text {i}."], wanted(**question), own[i])
    assert [p.explanation for p in told["explain"][0].wait()] == ["why"]
    assert told["match"][2].wait()[0].types == {"ship": 0.75, "town": 0.5}
    assert [len(own.wait()) for each in told.values() for own in each] == [1] * 12


def test_with_many_another_is_refused(served):
    _, batcher = served(0.2, most_waiting=3)
    told = [Told() for _ in range(3)]
    for own in told:
        batcher.submit(["Text."], wanted(), own)
    with pytest.raises(FullError):
        batcher.submit(["Text."], wanted(), Told())
    for own in told:
        own.wait()
    batcher.submit(["Text."], wanted(), again := Told())
    again.wait()


def test_all_that_was_taken_is_answered_before_the_end(served):
    _, batcher = served(0.02)
    told = [Told() for _ in range(100)]
    for own in told:
        batcher.submit(["Ajax sank. It was old."], wanted(), own)
    batcher.close()
    assert all(own.ended.is_set() and len(own.parts) == 2 for own in told)
    with pytest.raises(ClosedError):
        batcher.submit(["Text."], wanted(), Told())


def test_texts_without_sentences_are_answered(served):
    _, batcher = served()
    none, empty = Told(), Told()
    batcher.submit([], wanted(), none)
    batcher.submit(["", "  "], wanted(), empty)
    assert none.wait() == []
    assert [(p.text, p.is_last) for p in empty.wait()] == [(0, True), (1, True)]


def test_programs_are_prepared_while_nobody_asks(served):
    model, batcher = served(prepare=True)
    for _ in range(1000):
        if batcher.is_prepared:
            break
        time.sleep(0.01)
    assert (batcher.prepared, batcher.programs, model.asked) == (3, 3, ["prepared"] * 3)


def test_a_program_that_cannot_be_compiled_stops_nothing(served, said):
    def fail():
        raise RuntimeError("INTERNAL: the compiler failed")

    model = Model()
    model.preparations = lambda: [fail, lambda: model.asked.append("prepared")]
    for most_together in (0, 1):
        batcher = Batcher(model, most_together=most_together)
        batcher.submit(["Text."], wanted(), told := Told())
        assert len(told.wait()) == 1
        while not batcher.is_prepared:
            time.sleep(0.01)
        batcher.close()
    assert any("not prepared: RuntimeError at" in line for line in said())


def test_who_waits_no_more_leaves_room_for_others(served):
    _, batcher = served(0.5, most_waiting=4)
    waiting = [batcher.submit(["Text."], wanted(), Told()) for _ in range(4)]
    for request in waiting:
        request.cancelled = True
    time.sleep(0.1)
    batcher.submit(["Text."], wanted(), told := Told())
    assert len(told.wait()) == 1


def test_long_sentences_are_few_at_a_time(served):
    model, batcher = served()
    batcher.submit(["word, " * 1000 + "\n\n" for _ in range(20)], wanted(), told := Told())
    told.wait()
    assert max(sum(len(text.split()) for text in texts) for texts in model.asked) <= batching._WORDS + 1000


def test_closing_does_not_wait_for_programs():
    begun, go_on = threading.Event(), threading.Event()
    model = Model()
    model.preparations = lambda: (
        [lambda: (begun.set(), go_on.wait(20))] + [lambda: model.asked.append(1)] * 50
    )
    batcher = Batcher(model)
    assert begun.wait(20)
    told = Told()
    batcher.submit(["Text."], wanted(), told)
    told.wait()  # although a program is compiled
    batcher.close()
    assert len(model.asked) < 50
    go_on.set()


@pytest.mark.slow
def test_a_real_model_answers_as_it_does_alone(ner):
    texts = ["Judge Ivan Borcalski came to Selqua. Rita of Lima left.", "", "In 1973 it rained in Peru."] * 4
    batcher = Batcher(ner, prepare=False)
    told = [Told() for _ in texts]
    labels = read_labels(ner.schema, ner.schema)
    for text, own in zip(texts, told, strict=True):
        batcher.submit([text], Wanted(labels, Question(ner.schema)), own)
    found = [[e for part in own.wait() for e in part.entities] for own in told]
    batcher.close()
    for own, alone in zip(found, [ner.predict([text])[0] for text in texts], strict=True):
        assert [(e.start, e.end, e.label) for e in own] == [(e.start, e.end, e.label) for e in alone]
        assert [e.score for e in own] == pytest.approx([e.score for e in alone], abs=1e-4)
    assert any(found)
    assert coverage_of(told[0].parts).sentences == 2
