"""`python scripts/infer_schema.py`: the same as `toner-jax schema`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("schema")

if __name__ == "__main__":
    sys.exit(main())
