"""`python scripts/explain.py`: the same as `toner-jax explain`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("explain")

if __name__ == "__main__":
    sys.exit(main())
