"""`python scripts/convert_checkpoint.py`: the same as `toner-jax convert`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("convert")

if __name__ == "__main__":
    sys.exit(main())
