"""The figures of a configuration's programs as one report, and what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toner_jax.common.versions import installed
from toner_jax.compiling.measure import Measured, Result
from toner_jax.compiling.targets import Target
from toner_jax.parallel.peak import Figures

# What JAX takes of a GPU's memory unless told otherwise, and what it can be told to take.
_DEFAULT_SHARE, _LARGEST_SHARE = 0.75, 0.95
MEMORY_FRACTION = "XLA_PYTHON_CLIENT_MEM_FRACTION"


@dataclass(frozen=True)
class Setting:
    """What programs were compiled for.

    Attributes:
      kind: the devices' `device_kind`, of the platform `platform`.
      mesh: sizes by axis; `preset`, how state is sharded on it.
      peak: FLOP/s of a device for products of `dtype`.
      epoch: samples that an epoch has of each kind of program, by the first word of its name; {} where not asked.
      epochs: of a training, likewise.
      price: of a device for an hour; None where cost is not asked for.
    """

    config: str
    target: Target
    kind: str
    platform: str
    figures: Figures | None
    mesh: dict[str, int]
    preset: str
    dtype: str
    types: int
    epoch: dict[str, float]
    epochs: dict[str, float]
    price: float | None = None

    @property
    def devices(self) -> int:
        return self.target.count * self.target.hosts

    @property
    def peak(self) -> float | None:
        if self.figures is None:
            return None
        return self.figures.flops if self.dtype == "bfloat16" else self.figures.wide_flops


def make_report(setting: Setting, results: Sequence[Result]) -> dict[str, Any]:
    """All of it, ready for JSON."""
    f = setting.figures
    return {
        "config": setting.config,
        "devices": {
            "name": setting.target.name,
            "count": setting.devices,
            "hosts": setting.target.hosts,
            "kind": setting.kind,
            "memory_bytes": f and f.memory,
            "share": _DEFAULT_SHARE,
            "flops": setting.peak,
            "bytes_per_second": f and f.bandwidth,
            "link_bytes_per_second": f and f.link,
            "network_bytes_per_second": f and f.network,
        },
        "mesh": setting.mesh,
        "sharding": setting.preset,
        "dtype": setting.dtype,
        "types": setting.types,
        "programs": [_program(setting, result) for result in results],
        "assumptions": _assumptions(setting, results),
        "versions": installed(("toner-jax", "jax", "jaxlib", "jax-cuda12-pjrt", "libtpu")),
    }


def _program(setting: Setting, result: Result) -> dict[str, Any]:
    planned, m = result.planned, result.measured
    head: dict[str, Any] = {
        "name": planned.name,
        "examples": planned.examples,
        "samples_an_epoch": setting.epoch.get(planned.kind),
        "epochs": setting.epochs.get(planned.kind),
        "layers": planned.layers,
        "compiled_layers": list(result.compiled) or None,
        "fits": _fits(setting, m),
        "refusal": result.refusal,
    }
    if m is None:
        return head
    return head | {
        "memory": {
            "bytes": m.memory,
            "arguments": m.arguments,
            "outputs_not_aliased": m.outputs - m.aliased,
            "temporaries": m.temporaries,
            "code": m.code,
        },
        "flops": {
            "useful": planned.useful,
            "total": m.flops * setting.devices,
            "by_dtypes": {name: flops * setting.devices for name, flops in m.products.items()},
        },
        "kernels": m.kernels,
        "collectives": {
            kind: {"count": m.counts[kind], "bytes": m.moved.get(kind, 0.0)} for kind in sorted(m.counts)
        },
        "collectives_grow": result.growth,
        "in_loops": {
            "casts": m.casts,
            "copies": m.copies,
            "collectives": m.repeated,
            "of_unknown_length": m.unknown_loops,
        },
        "roofline": _roofline(setting, result, m),
        "compile_seconds": m.compile_seconds,
    }


def _fits(setting: Setting, m: Measured | None) -> str:
    """ "yes", "no", what must be set for it; "" where a device's memory is not known."""
    if m is None:
        return "no"
    if setting.figures is None:
        return ""
    share = m.memory / setting.figures.memory
    if setting.platform != "gpu":
        return "yes" if share <= 1 else "no"
    if share <= _DEFAULT_SHARE:
        return "yes"
    return f"{MEMORY_FRACTION}={_LARGEST_SHARE:g}" if share <= _LARGEST_SHARE else "no"


def _roofline(setting: Setting, result: Result, m: Measured) -> dict[str, Any] | None:
    bound = m.roofline
    if bound is None:
        return None
    return {
        "kernels_seconds": bound.kernels,
        "collectives_seconds": bound.collectives,
        "without_overlap": _speed(setting, result, bound.one_by_one),
        "with_overlap": _speed(setting, result, bound.overlapped),
    }


def _speed(setting: Setting, result: Result, seconds: float) -> dict[str, float | None]:
    """What a run that takes so many seconds comes to."""
    planned, peak = result.planned, setting.peak
    whole = (
        planned.useful is not None and peak is not None
    )  # decoding takes many passes, of which one is known
    rate = planned.examples / seconds if whole else None
    samples, epochs = setting.epoch.get(planned.kind), setting.epochs.get(planned.kind)
    epoch = samples / rate / 3600 if samples and rate else None
    hours = epoch * epochs if epoch is not None and epochs else None
    return {
        "seconds": seconds,
        "mfu": planned.useful / (seconds * peak * setting.devices) if planned.useful and peak else None,
        "examples_per_second": rate,
        "hours_an_epoch": epoch,
        "hours": hours,
        "cost": hours * setting.devices * setting.price if hours is not None and setting.price else None,
    }


def _side_by_side(results: Sequence[Result]) -> list[str]:
    """What dev evaluation takes while a training's state stays where it is."""
    found = {r.planned.kind: r.measured for r in results if r.measured}
    trained, decoding = found.get("generator"), found.get("decode")
    if trained is None or decoding is None:
        return []
    together = trained.arguments + decoding.memory - decoding.arguments
    return [
        f"Dev evaluation decodes beside the training's state: {together / 1e9:.1f} GB a device. A run that is "
        f"evaluated alone takes decode's {decoding.memory / 1e9:.1f} GB."
    ]


def _between_hosts(setting: Setting) -> str:
    """What collectives that join hosts take, besides."""
    if setting.figures is None or setting.target.hosts == 1:
        return ""
    speed = setting.figures.network / 1e9
    return f"; between hosts at {speed:,.0f} GB/s for each device of the group, where that takes longer"


def _assumptions(setting: Setting, results: Sequence[Result]) -> list[str]:
    """What the figures rest on, a sentence each."""
    f = setting.figures
    taken = f", of which JAX takes {_DEFAULT_SHARE:.0%} unless {MEMORY_FRACTION} says otherwise"
    taken *= setting.platform == "gpu"
    said = [f"{r.planned.name}: {r.refusal}." for r in results if r.refusal]
    if f is None:
        said.append("Nothing is promised of this device's speed and memory, so there is no roofline.")
    else:
        said += [
            "Times are a roofline: lower bounds, no measurements. A kernel takes its products at "
            f"{f.flops / 1e12:,.0f} TFLOP/s ({f.wide_flops / 1e12:,.0f} for float32 factors) or its memory traffic at "
            f"{f.bandwidth / 1e12:.3g} TB/s, whichever is longer; a collective its bytes at {f.link / 1e9:,.0f} GB/s, "
            f"an all-reduce twice{_between_hosts(setting)}. Launches, waiting and random numbers take no time in it.",
            "MFU is the FLOPs that the model needs for examples without padding, over all devices' peak; without "
            "overlap collectives wait for kernels, with it the shorter of the two is free.",
            f"Memory is that of the program alone, of {f.memory / 1e9:.1f} GB a device{taken}.",
            *_side_by_side(results),
        ]
        if any(_fits(setting, r.measured) == "no" for r in results):
            said.append(
                "What does not fit takes more devices, mesh.fsdp or mesh.tensor over them, more microbatches or remat."
            )
    if deep := next((r for r in results if r.compiled), None):
        first, second = deep.compiled
        said.append(
            f"Programs of {first} and {second} layers (in each stack) were compiled, and all figures continued in a "
            "straight line to the model's depth; memory of temporaries is the least certain of them."
        )
    if any(r.growth is not None for r in results):
        said.append("How collectives grow is their bytes at twice the batch over those at the batch.")
    if any(r.measured and r.measured.unknown_loops for r in results):
        said.append(
            "A loop whose length is only known when it runs counts as one round: decoding is one pass."
        )
    return [*said, *_of_epochs(setting)]


def _of_epochs(setting: Setting) -> list[str]:
    """What times of epochs and costs rest on."""
    if not setting.epoch:
        return []
    said = [
        "Times of epochs are what the roofline allows if all samples had this shape; the generator's samples of an "
        "epoch include those of type recognition. Published trainings of T5 reach 35 to 37 % MFU on an A100."
    ]
    if setting.price:
        said.append(
            f"Cost is {setting.price:g} an hour for each of {setting.devices} devices, for as long as steps take: "
            "evaluation, checkpoints, compilation and waiting for machines come on top."
        )
    return said
