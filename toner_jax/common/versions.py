"""Versions of what is installed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata


def installed(packages: Iterable[str]) -> dict[str, str]:
    """The version of each of these packages that is installed, by its name."""
    versions: dict[str, str] = {}
    for name in packages:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
