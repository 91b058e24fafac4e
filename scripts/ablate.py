"""`python scripts/ablate.py`: the same as `toner-jax ablate`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("ablate")

if __name__ == "__main__":
    sys.exit(main())
