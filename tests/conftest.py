"""What several test modules need: the folder of real data and vocabularies beside the repository."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the shared folder {SHARED} is absent")
