"""Values of the configuration from the command line: numbers, and "dev" for those that are chosen on dev."""

from __future__ import annotations

import pytest

from toner_jax.commands.config_file import load
from toner_jax.config import base
from toner_jax.config_keys import override
from toner_jax.errors import UserError
from toner_jax.validation import validate

KEYS = ("matcher.type_threshold", "decode.calibration_temperature")


def parsed(key: str, text: str, config: str = "quickstart"):
    return load(config, [(key, text)]).config


def value(config, key: str):
    section, name = key.split(".")
    return config[section][name]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("text", "expected"), [("0.25", 0.25), ("1", 1), ("dev", "dev")])
def test_both_forms_are_read(key, text, expected):
    for config in ("quickstart", "conll2003"):  # a default of either form
        found = parsed(key, text, config)
        assert value(found, key) == expected
        validate(found)


def test_zero_is_a_threshold_like_any_other():
    found = parsed("matcher.type_threshold", "0")
    assert found.matcher.type_threshold == 0
    validate(found)


@pytest.mark.parametrize("text", ["2", "-1.5", "devs", "True", "None", "nan"])
def test_no_cosine_is_refused(text):
    with pytest.raises(UserError) as error:
        validate(parsed("matcher.type_threshold", text))
    said = (
        f"matcher.type_threshold={text}: must be a cosine, between -1 and 1, or dev: chosen on the dev split"
    )
    assert str(error.value) == said


@pytest.mark.parametrize("text", ["0", "-1", "1e999", "test"])
def test_no_calibration_temperature_is_refused(text):
    with pytest.raises(
        UserError, match=r"^decode\.calibration_temperature=.*: must be a number above 0, or dev"
    ):
        validate(parsed("decode.calibration_temperature", text))


@pytest.mark.parametrize(("text", "expected"), [("0.5", 0.5), ("2", 2), ("dev", "dev")])
def test_a_finished_run_takes_both_forms_too(text, expected):
    config = base()
    override(config, "decode.calibration_temperature", text)
    assert config.decode.calibration_temperature == expected
    override(config, "decode.calibration_temperature", "b c")
    with pytest.raises(
        UserError, match=r"^decode\.calibration_temperature=b c: must be a number above 0, or dev"
    ):
        validate(config)


@pytest.mark.parametrize("key", ["matcher.type_threshold", "eval.batch_size"])
def test_what_training_has_fixed_is_refused(key):
    with pytest.raises(UserError, match=rf"^{key}: fixed by training"):
        override(base(), key, "1")
