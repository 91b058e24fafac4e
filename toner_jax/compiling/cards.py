"""What XLA has to know of an NVIDIA card that is not here, as the target-config text that it reads.

The figures are those of the makers' data sheets and of CUDA's device queries.
"""

from __future__ import annotations

from dataclasses import dataclass

_OPTIN = 1024  # bytes of a core's shared memory that a block cannot ask for


@dataclass(frozen=True)
class Card:
    """One card.

    Attributes:
      cores: streaming multiprocessors, each with so many `units` for float32 and `shared` bytes of shared memory.
      clock: in GHz.
      cache: bytes of the second-level cache.
      memory: bytes; `bandwidth`, of them a second.
      capability: the major CUDA compute capability.
    """

    name: str
    capability: int
    cores: int
    units: int
    shared: int
    clock: float
    cache: int
    memory: int
    bandwidth: int


CARDS = {
    "a100-40gb": Card(
        "NVIDIA A100-SXM4-40GB", capability=8, cores=108, units=64, shared=164 << 10, clock=1.41, cache=40 << 20,
        memory=42_331_013_120, bandwidth=1_555_200_000_000,
    ),
    "a100-80gb": Card(
        "NVIDIA A100-SXM4-80GB", capability=8, cores=108, units=64, shared=164 << 10, clock=1.41, cache=40 << 20,
        memory=85_100_068_864, bandwidth=2_039_040_000_000,
    ),
    "h100": Card(
        "NVIDIA H100 80GB HBM3", capability=9, cores=132, units=128, shared=228 << 10, clock=1.98, cache=50 << 20,
        memory=84_942_979_072, bandwidth=3_352_320_000_000,
    ),
    "h200": Card(
        "NVIDIA H200", capability=9, cores=132, units=128, shared=228 << 10, clock=1.98, cache=50 << 20,
        memory=150_110_011_392, bandwidth=4_800_000_000_000,
    ),
}  # fmt: skip

# Limits that all of them share, and the versions that programs are compiled against.
_TEXT = """gpu_device_info {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {shared}
  shared_memory_per_block_optin: {optin}
  threads_per_core_limit: 2048
  core_count: {cores}
  fpus_per_core: {units}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  thread_dim_limit_x: 1024
  thread_dim_limit_y: 1024
  thread_dim_limit_z: 64
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  memory_bandwidth: {bandwidth}
  l2_cache_size: {cache}
  clock_rate_ghz: {clock}
  device_memory_size: {memory}
  cuda_compute_capability {{ major: {capability} }}
  device_vendor: "NVIDIA Corporation"
  name: "{name}"
  driver_version: "13.0.0"
  runtime_version: "12.8.0"
  compile_time_toolkit_version: "12.8.0"
  dnn_version: "9.10.0"
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
device_description_str: "{name}"
"""


def target_config(card: Card) -> str:
    """The text proto of a card."""
    return _TEXT.format(**vars(card), optin=card.shared - _OPTIN)
