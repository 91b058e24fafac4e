"""Devices by name, here or not: `8xa100-80gb`, `2x8xa100-80gb` on two hosts, `h100`, `16xv5e`, `8xcpu`.

Nothing here imports JAX before `prepare` is called: how many CPU devices there are, and that no accelerator is to be
looked for, is settled when it starts.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from toner_jax.common.cli import did_you_mean
from toner_jax.common.environment import silent_stderr
from toner_jax.compiling.cards import CARDS, target_config
from toner_jax.errors import ParameterError, UserError

if TYPE_CHECKING:
    import jax

EXTRA = "pip install 'toner-jax[compile]'"

# The layouts that the makers rent out, by the number of chips.
_FLAT = {1: "1x1", 4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"}
_SOLID = {
    1: "1x1x1", 4: "2x2x1", 8: "2x2x2", 16: "2x2x4", 32: "2x4x4", 64: "4x4x4", 128: "4x4x8", 256: "4x8x8",
    512: "8x8x8",
}  # fmt: skip
_TPUS = {"v4": _SOLID, "v5e": _FLAT, "v5p": _SOLID, "v6e": _FLAT}
_BY_CHIPS = (
    "v5e",
    "v6e",
    "cpu",
)  # their makers' names count chips, as v5e-16; those of other TPUs count cores
_MEGACORE = ("v4", "v5p")  # both cores of a chip are one device
_MOST_CPUS = 512

NAMES = (*CARDS, *_TPUS, "cpu")


@dataclass(frozen=True)
class Target:
    """So many devices of a name on each of so many hosts; what joins a TPU's hosts is no network, so they are one."""

    name: str
    count: int
    hosts: int = 1

    def __str__(self) -> str:
        return f"{self.hosts}x{self.count}x{self.name}" if self.hosts > 1 else f"{self.count}x{self.name}"


def find(text: str) -> Target:
    """The target of a name, with a number before it or not, or behind it as clouds name slices.

    Raises:
      ParameterError: there is no such device, or not so many of them in one piece.
    """
    given = text.strip().lower()
    if slice_ := re.fullmatch(rf"({'|'.join(_BY_CHIPS)})-(\d+)", given):
        given = f"{slice_.group(2)}x{slice_.group(1)}"
    found = re.fullmatch(r"(?:(?:(\d+)x)?(\d+)x)?([a-z][\w-]*)", given)
    name = found.group(3) if found else ""
    if not found or name not in NAMES:
        begun = [known for known in NAMES if name and known.startswith(name)]
        hint = f"; did you mean {' or '.join(begun)}?" if begun else did_you_mean(name, NAMES)
        raise ParameterError(
            "devices",
            text,
            f"no such device{hint}; write COUNTxNAME or HOSTSxCOUNTxNAME, NAME one of {', '.join(NAMES)}",
        )
    hosts, count = int(found.group(1) or 1), int(found.group(2) or 1)
    if hosts != 1 and name not in CARDS:
        raise ParameterError(
            "devices", text, f"hosts are counted of GPUs alone; write {hosts * count}x{name}"
        )
    if name in _TPUS and count not in _TPUS[name]:
        sizes = ", ".join(map(str, _TPUS[name]))
        raise ParameterError("devices", text, f"there is no such slice; of {name} there are {sizes} chips")
    if not 1 <= hosts * count <= _MOST_CPUS or not hosts:
        raise ParameterError("devices", text, f"choose 1 to {_MOST_CPUS} devices")
    return Target(name, count, hosts)


def prepare(target: Target) -> None:
    """Starts JAX so that it compiles for a target and looks for no accelerator; it must not have started yet.

    Raises:
      UserError: what the target needs is not installed.
    """
    needed = {"gpu": "jax_plugins.xla_cuda12", "tpu": "libtpu"}.get(_platform(target))
    if needed and not _installed(needed):
        raise UserError(
            f"compiling for {target.name} needs {needed.split('.')[-1]}, which is not here: {EXTRA}"
        )
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # no TPU is used, so nobody is disturbed
    with silent_stderr():  # the plugins of accelerators that are not here say so, from C++
        import jax
    if target.name == "cpu":
        jax.config.update("jax_num_cpu_devices", target.count)


def _platform(target: Target) -> str:
    return "gpu" if target.name in CARDS else "tpu" if target.name in _TPUS else "cpu"


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def devices(target: Target) -> list[jax.Device]:
    """The devices of a target, after `prepare`.

    Raises:
      UserError: the compiler has no such target.
    """
    import jax
    from jax.experimental import topologies

    if target.name == "cpu":
        return list(jax.devices("cpu"))
    platform, name, options = _topology(target)
    try:
        with silent_stderr():
            found = topologies.get_topology_desc(name, platform, **options).devices
    except (RuntimeError, ValueError, NotImplementedError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(
            f"{target}: the compiler that is here makes nothing for it ({reason}); another version may: {EXTRA}"
        ) from error
    if len(found) != target.count * target.hosts:
        raise UserError(f"{target}: the compiler makes {len(found)} devices of it")
    return list(found)


def _topology(target: Target) -> tuple[str, str, dict[str, Any]]:
    """(platform, topology, options) of `get_topology_desc`."""
    if target.name in CARDS:
        text = target_config(CARDS[target.name])
        return "cuda", "", {"target_config": text, "topology": f"1x{target.hosts}x{target.count}"}
    options: dict[str, Any] = {"chip_config_name": "megacore"} if target.name in _MEGACORE else {}
    if target.count == 1:
        options["chips_per_host_bounds"] = (1, 1, 1)
    return "tpu", f"{target.name}:{_TPUS[target.name][target.count]}", options
