"""`python scripts/runs.py`: the same as `toner-jax runs`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("runs")

if __name__ == "__main__":
    sys.exit(main())
