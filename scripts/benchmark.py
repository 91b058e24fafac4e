"""`python scripts/benchmark.py`: the same as `toner-jax bench`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("bench")

if __name__ == "__main__":
    sys.exit(main())
