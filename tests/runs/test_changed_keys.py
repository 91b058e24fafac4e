"""What another value of each key means to a finished run: what docs/configuration.md says, beside what a start does."""

from __future__ import annotations

from typing import Any

from faked_runs import TRAINED, checkpoints, settings
from test_views import KEYS, changed

from toner_jax import config as configuration
from toner_jax import config_keys
from toner_jax.runs import run
from toner_jax.runs.refusal import Refused


def other_value(config: Any, key: str) -> Any:
    """The configuration with another value of one key, as `changed` makes it of the base configuration."""
    value = config_keys.get(changed(key), key)
    if value == config_keys.get(config, key):
        value = config_keys.get(configuration.base(), key)
    copy = config.copy_and_resolve_references()
    section, _, name = key.rpartition(".")
    with copy.unlocked():
        owner = config_keys.get(copy, section) if section else copy
        del owner[name]  # it may take another type
        owner[name] = value
    return copy


def test_what_another_value_of_each_key_means_to_a_finished_run(world):
    """`run.changed_by`, of which docs/configuration.md is made, beside what a start does."""
    workdir, data, _ = world
    config = settings(data)
    config.types.training = "cross_fitted"  # so that there is a stage of each name
    run.execute(config, workdir)
    dataset = run.read_data(config)
    config.data.edges = dataset.edges
    before = checkpoints(workdir)
    for key in KEYS:
        if key == "stages" or key.startswith("data."):
            continue  # what these bring is in the data, of which the tests above are
        means = run.changed_by(key)
        anew = {name for name, kind in means.items() if kind == "result"}
        kept = {name for name, kind in means.items() if kind == "selection"}
        stages = run.plan_stages(other_value(config, key), dataset, workdir)
        trained = anew & set(TRAINED) & stages.keys()
        found, stopped = {}, set()
        try:
            found = run._actions(stages, workdir, ())
        except Refused as error:
            stopped = {r.stage for r in error.refusals}
        assert stopped == trained, key
        started = {name for name, action in found.items() if action == "start"}
        assert stopped or started == anew & stages.keys(), key
        found = run._actions(stages, workdir, TRAINED)
        assert {name for name, action in found.items() if action == "start"} == (
            anew | kept & set(TRAINED)
        ) & stages.keys(), key
        if key.startswith("decode."):
            assert not {"matcher", "types", "generator"} & (anew | kept), key
    assert checkpoints(workdir) == before
