"""`python scripts/compare.py`: the same as `toner-jax compare`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("compare")

if __name__ == "__main__":
    sys.exit(main())
