"""Labels as users write them, to types that a prompt can hold, and back."""

import pytest

from toner_jax.errors import UserError
from toner_jax.inference.labels import read_labels
from toner_jax.schema import EntityType, Schema

TRAINED = Schema(
    "trained",
    (EntityType("person", "Names of people.", ("PER",)), EntityType("cell_type", "Kinds of cells.")),
)


@pytest.mark.parametrize(
    ("labels", "types"),
    [
        (["ship"], {"ship": ("ship", "")}),
        (("Ship", "Date of  Birth"), {"ship": ("Ship", ""), "date of birth": ("Date of  Birth", "")}),
        ({"Ship": "Names of\nvessels."}, {"ship": ("Ship", "Names of vessels.")}),
        ({"Ship": None}, {"ship": ("Ship", "")}),
        (["PER"], {"person": ("PER", "Names of people.")}),
        (
            ["Person", "Cell-Type"],
            {"person": ("Person", "Names of people."), "cell_type": ("Cell-Type", "Kinds of cells.")},
        ),
        ({"PER": "Who acts."}, {"person": ("PER", "Who acts.")}),
        (["drug (brand)", "a, b"], {"drug brand": ("drug (brand)", ""), "a b": ("a, b", "")}),
        (["ﬁrm①", "ＯＲＧ"], {"firm1": ("ﬁrm①", ""), "org": ("ＯＲＧ", "")}),
        (["组织"], {"组织": ("组织", "")}),
        ((label for label in ("a", "b")), {"a": ("a", ""), "b": ("b", "")}),
        ([EntityType("ship", "Vessels.", ("SHIP",))], {"ship": ("ship", "Vessels.")}),
        (TRAINED, {"person": ("person", "Names of people."), "cell_type": ("cell_type", "Kinds of cells.")}),
    ],
)  # fmt: skip
def test_labels(labels, types):
    asked = read_labels(labels, TRAINED)
    assert list(asked.schema.names) == list(types)
    assert {t.name: (asked.written[t.name], t.description) for t in asked.schema.types} == types


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        ("person", TypeError, r"the string 'person'; expected a list of names, \['person'\]"),
        ([], UserError, "labels is empty"),
        ({}, UserError, "labels is empty"),
        (["a", 5], TypeError, "item 1 is 5"),
        ([["a"]], TypeError, r"item 0 is \['a'\]"),
        ({"a": 5}, TypeError, r"item 0 is \('a', 5\)"),
        (["Ship", "ship"], UserError, "'Ship' and 'ship' are the same type, 'ship'"),
        (["PER", "person"], UserError, "'PER' and 'person' are the same type"),
        (["()"], UserError, "no character that a prompt can hold"),
        (["ok", " "], UserError, "no character"),
    ],
)
def test_what_names_no_types(labels, error, says):
    with pytest.raises(error, match=says):
        read_labels(labels, TRAINED)
