"""Devices by name, and what is said where there are none."""

from __future__ import annotations

import pytest

from toner_jax.compiling import targets
from toner_jax.compiling.cards import CARDS, target_config
from toner_jax.errors import ParameterError, UserError
from toner_jax.parallel.peak import figures, memories


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        ("8xa100-80gb", "a100-80gb", 8),
        ("H100", "h100", 1),
        ("16xv5e", "v5e", 16),
        ("8xcpu", "cpu", 8),
        ("1x8xh100", "h100", 8),
        ("v5e-16", "v5e", 16),
    ],
)
def test_names(text, name, count):
    assert targets.find(text) == targets.Target(name, count)


def test_hosts_are_counted_of_gpus():
    target = targets.find("2x8xA100-80GB")
    assert target == targets.Target("a100-80gb", 8, hosts=2)
    assert targets.find(str(target)) == target


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("8xa100", r"did you mean a100-40gb or a100-80gb\?"),
        ("h1000", r"did you mean h100\?"),
        ("eight", "no such device; write COUNTxNAME"),
        ("3xv5e", "no such slice; of v5e there are 1, 4, 8, 16"),
        ("0xcpu", "choose 1 to 512"),
        ("0x8xh100", "choose 1 to 512"),
        ("128x8xh100", "choose 1 to 512"),
        ("2x8xv5e", "hosts are counted of GPUs alone; write 16xv5e"),
        ("x", "no such device"),
    ],
)
def test_other_names(text, reason):
    with pytest.raises(ParameterError, match=reason):
        targets.find(text)


@pytest.mark.parametrize(("name", "needed"), [("h200", "xla_cuda12"), ("v5p", "libtpu")])
def test_a_compiler_that_is_not_here_is_one_line(monkeypatch, name, needed):
    monkeypatch.setattr(targets, "find_spec", lambda module: None)
    with pytest.raises(UserError, match=rf"{name} needs {needed}, .*: pip install 'toner-jax\[compile\]'$"):
        targets.prepare(targets.find(name))


def test_a_card_is_written_as_the_compiler_reads_it():
    text = target_config(CARDS["a100-80gb"])
    for line in (
        "core_count: 108", "fpus_per_core: 64", "shared_memory_per_core: 167936",
        "shared_memory_per_block_optin: 166912", "l2_cache_size: 41943040", "clock_rate_ghz: 1.41",
        "device_memory_size: 85100068864", "cuda_compute_capability { major: 8 }", 'platform_name: "CUDA"',
    ):  # fmt: skip
        assert line in text
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_every_card_has_figures(card):
    """Under the name that its devices will tell."""
    known = figures(card.name)
    assert known is not None
    assert known.memory == pytest.approx(card.memory, rel=0.01)
    assert known.bandwidth == pytest.approx(card.bandwidth, rel=0.03)


def test_memories_are_those_of_the_data_sheets():
    sizes = {name: round(size / 2**30) for name, size in memories().items()}
    assert sizes["H200"] == 140  # GiB that CUDA tells of 141 GB
    assert (sizes["TPU v5e"], sizes["TPU v6e"]) == (16, 32)
