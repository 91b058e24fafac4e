"""The compiled programs of a model, which the generators of several schemas share."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable
from typing import Any

from jax.sharding import Mesh

from toner_jax.common.console import Compilations
from toner_jax.inference.kept_programs import KeptPrograms
from toner_jax.inference.lengths import few_lengths, length_buckets
from toner_jax.models.decoder import MakeDecoder


class Programs:
    """Each program once, whatever schema it decodes for: types are data of a program, as texts are.

    Attributes:
      make_decoder: of the model.
      compilations: says of each that it is compiled.
    """

    def __init__(self, make_decoder: MakeDecoder, mesh: Mesh, *, any_schema: bool = False):
        """Args:
        mesh: of the devices that run them.
        any_schema: whether lengths are padded to a few that suit all schemas, rather than to those that suit one best.
        """
        self.make_decoder = make_decoder
        self._mesh = mesh
        self._any_schema = any_schema
        self.compilations = Compilations("decoding")
        self._lock = threading.Lock()
        self._programs: dict[Hashable, KeptPrograms] = {}

    def lengths(self, limit: int, overhead: int) -> tuple[int, ...]:
        """What sources of at most `limit` pieces are padded to, of which `overhead` stand around every text."""
        return few_lengths(limit) if self._any_schema else length_buckets(limit, overhead)

    def get(
        self,
        function: Callable[..., Any],
        *fixed: Any,
        compiler_options: dict[str, Any] | None = None,
    ) -> KeptPrograms:
        """A function of `make_decoder`, `fixed` (hashable) and what a call gives, of which `options` are static, as a
        program."""
        key = function, fixed, tuple((compiler_options or {}).items())
        with self._lock:  # or else two threads would compile it
            if key not in self._programs:
                self._programs[key] = KeptPrograms(
                    functools.partial(function, self.make_decoder, *fixed),
                    self._mesh,
                    static=("options",),
                    compiler_options=compiler_options,
                )
            return self._programs[key]
