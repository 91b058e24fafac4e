"""`python scripts/reproduce.py`: the same as `toner-jax reproduce`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("reproduce")

if __name__ == "__main__":
    sys.exit(main())
