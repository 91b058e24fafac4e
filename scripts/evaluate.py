"""`python scripts/evaluate.py`: the same as `toner-jax evaluate`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("evaluate")

if __name__ == "__main__":
    sys.exit(main())
