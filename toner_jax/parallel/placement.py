"""Which mesh and which preset of sharding suit a training: by the bytes of its state, and by what a step moves."""

from __future__ import annotations

from dataclasses import dataclass

from toner_jax.parallel.mesh import AXES

_PARAMETER, _STATE = 4, 16  # bytes of a parameter in fp32; with its gradient and both moments
_HALF = 2  # bytes of a number that is moved, in bf16
# The share of a device's memory that the state may take; activations and what the compiler needs take the rest.
_SHARE = 0.6
# The share of zero1's traffic below which the tensor axis is faster though all fits: its many exchanges are small, and
# so are the products that it leaves each device.
_FAR_LESS = 0.4
_TENSOR = 8  # devices that heads and hidden units are split over at most: those of one machine


@dataclass(frozen=True)
class Work:
    """What is to be trained.

    Attributes:
      parameters: of the model.
      width: D, of its states.
      heads: of an attention.
      encoder_layers, decoder_layers: of the two stacks.
      source, target: tokens of a step's batch, on either side.
    """

    parameters: int
    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    source: int
    target: int


@dataclass(frozen=True)
class Placement:
    """A choice.

    Attributes:
      sizes: of the mesh's axes (data, fsdp, tensor).
      preset: of `sharding.PRESETS`.
      why: in words.
    """

    sizes: tuple[int, int, int]
    preset: str
    why: str

    def __str__(self) -> str:
        mesh = ", ".join(f"mesh.{axis}={size}" for axis, size in zip(AXES, self.sizes, strict=True))
        return f"sharding={self.preset} with {mesh}: {self.why}"


def choose(work: Work, devices: int, memory: int | None) -> Placement:
    """The placement of a training on so many equal devices.

    As long as whole parameters fit, every device has its own rows and all parameters, and moments are split (zero1): it
    moves gradients and parameters once a step. What does not fit is split: over rows of the parameters (fsdp), which
    moves each parameter three times a step, or over heads and hidden units (tensor), which moves activations; whichever
    moves less. What fits is split over heads too where that moves far less, as with large models and small batches.

    Args:
      memory: bytes of a device; None where that is not known, as on CPU: taken to suffice.
    """
    if devices == 1:
        return Placement((1, 1, 1), "replicated", "a single device")
    whole = (2 * _PARAMETER + (_STATE - 2 * _PARAMETER) / devices) * work.parameters
    room = None if memory is None else _SHARE * memory
    fit = room is None or whole <= room
    heads = max(n for n in range(1, _TENSOR + 1) if devices % n == 0 and work.heads % n == 0)
    by_rows = 3 * _HALF * work.parameters
    rest = devices // heads
    # Two sums over heads a layer of the encoder and three of the decoder, in either direction; each array is scattered
    # and gathered.
    passes = 2 * (2 * work.encoder_layers * work.source + 3 * work.decoder_layers * work.target)
    by_heads = 2 * _HALF * work.width * passes / rest + by_rows / heads * (rest > 1)
    over_heads = (1, rest, heads), "tensor" if rest == 1 else "fsdp"
    by_whole = (_HALF + _PARAMETER) * work.parameters  # gradients, and new parameters
    less = "a step moves {:.1f} GB a device, {:.1f} by {}"
    if fit and (room is None or heads == 1 or by_heads > _FAR_LESS * by_whole):
        why = f"{whole / 1e9:.1f} GB of parameters, gradients and a share of the moments fit each device"
        return Placement((devices, 1, 1), "zero1", why)
    if fit:
        return Placement(*over_heads, less.format(by_heads / 1e9, by_whole / 1e9, "zero1"))
    assert room is not None
    less = (
        f"{whole / 1e9:.1f} GB of parameters, gradients and a share of the moments pass {room / 1e9:.1f} GB, what is "
        f"taken of a device; {less}"
    )
    if heads > 1 and by_heads < by_rows:
        return Placement(*over_heads, less.format(by_heads / 1e9, by_rows / 1e9, "fsdp alone"))
    return Placement((1, devices, 1), "fsdp", less.format(by_rows / 1e9, by_heads / 1e9, "tensor"))
