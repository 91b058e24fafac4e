"""`python scripts/sweep_threshold.py`: the same as `toner-jax sweep`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("sweep")

if __name__ == "__main__":
    sys.exit(main())
