"""The folder of real data and vocabularies beside the repository, for tests that need it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the shared folder {SHARED} is absent")
