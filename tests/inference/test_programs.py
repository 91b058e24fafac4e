"""Which types there are is data of a program: other labels are decoded by the programs that are there."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import jax
import pytest

from toner_jax import load
from toner_jax.errors import UserError
from toner_jax.inference.lengths import few_lengths
from toner_jax.schema import Schema

TEXT = "Judge Ivan Borcalski married Professor Jaman in Selqua in 1973."
compiled: Counter[str] = Counter()  # what JAX itself says that it compiles, by name


def heard(event: str, _: float, **about: object) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        compiled[str(about.get("fun_name"))] += 1


@pytest.fixture(scope="module", autouse=True)
def listener():
    jax.monitoring.register_event_duration_secs_listener(heard)


@pytest.mark.slow
def test_new_labels_compile_nothing(ner):
    ner.predict([TEXT], ["river", "lake"])
    compiled.clear()
    for labels in (["ship"], ["town", "isle"], {"judge": "who rules in court"}, ["lake", "river"]):
        ner.predict([TEXT], labels)
    assert compiled == {}
    # The instrument hears: a program that nobody has asked for before.
    ner.predict([TEXT] * 5, ["river"])
    assert compiled["jit(_decode)"] > 0


@pytest.mark.slow
def test_a_schema_decoded_by_the_programs_of_all_schemas_finds_the_same(ner):
    own = ner.predict([TEXT, "Rita of Lima, Peru"])
    others = {t.name: t.description for t in ner.schema.types}
    asked = ner.predict([TEXT, "Rita of Lima, Peru"], others)
    assert [[(e.start, e.end, e.label) for e in text] for text in asked] == [
        [(e.start, e.end, e.label) for e in text] for text in own
    ]
    for one, other in zip(chain(*own), chain(*asked), strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-4)
    assert any(own)


@pytest.mark.parametrize(
    ("limit", "lengths"),
    [
        (512, (64, 128, 256, 512)),
        (128, (16, 32, 64, 128)),
        (100, (16, 32, 56, 100)),
        (8, (8,)),
        (20, (16, 20)),
    ],
)
def test_few_lengths_reach_the_limit(limit, lengths):
    assert few_lengths(limit) == lengths


def test_labels_for_which_there_is_no_room_are_refused(ner):
    with pytest.raises(UserError, match=r"text\.max_source"):
        ner.predict([TEXT], [f"name number {i}" for i in range(60)])
    assert Schema("labels", ner.schema.types) != ner.schema  # the premise of this module: another schema


@pytest.mark.long
def test_nothing_is_compiled_once_all_is_prepared(finished):
    ner = load(finished[0])
    for step in ner.preparations():
        step()
    compiled.clear()
    words = f"{TEXT} Rita of Lima ,".split()
    for labels in (None, ["river"], {"town": "a place", "isle": "land in water", "judge": "who rules"}):
        for count in (1, 3, 4, 8, 9, 16, 40):
            ner.predict(words=[(words * n)[: 5 * n] for n in range(1, count + 1)], labels=labels)
    assert compiled == {}
