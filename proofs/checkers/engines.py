"""Engines that only the extra `proofs` installs."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class NotInstalled(ImportError):
    """The checker's engine is missing; the step is then not proved."""


def engine(name: str) -> Any:
    """The module of that name; raises NotInstalled where it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        raise NotInstalled(f"{name} is not installed; install the extra `proofs`") from error
