"""`python scripts/dataset_stats.py`: the same as `toner-jax stats`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("stats")

if __name__ == "__main__":
    sys.exit(main())
