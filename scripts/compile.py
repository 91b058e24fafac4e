"""`python scripts/compile.py`: the same as `toner-jax compile`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("compile")

if __name__ == "__main__":
    sys.exit(main())
