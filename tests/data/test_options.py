"""The data section of a config as typed options."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from toner_jax.config import base
from toner_jax.data.options import DataOptions, GeneratedOptions
from toner_jax.errors import UserError


def test_a_section_becomes_options():
    section = base().data
    options = DataOptions.from_section(section)
    assert asdict(options) == section.to_dict()
    assert options.generated == GeneratedOptions(0, 24_000, 500, 1_000, fine=False)
    # What JSON makes of a tuple is a tuple again, so that options compare and hash.
    assert DataOptions.from_section({**section.to_dict(), "tag_columns": [-1]}) == options
    assert hash(options) == hash(DataOptions.from_section(section.to_dict()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folder": "x"}, r"^data\.folder: no such key; data has cache, carve_dev, "),
        (
            {"generated": {"seed": 0, "sizes": 3}},
            r"^data\.generated\.sizes: no such key; data\.generated has dev,",
        ),
        ({"generated": {"seed": 0}}, r"^data\.generated\.dev: missing$"),
    ],
)
def test_other_keys_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        DataOptions.from_section({**base().data.to_dict(), **change})


def test_a_missing_key_is_refused():
    section = base().data.to_dict()
    del section["dir"]
    with pytest.raises(UserError, match=r"^data\.dir: missing$"):
        DataOptions.from_section(section)
