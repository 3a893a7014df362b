"""Plug-ins by file name: a folder's files are its plug-ins, imported when they are used.

A file whose name starts with an underscore is a helper. Every other file defines exactly one final
subclass of the folder's base.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TypeVar

from slth.errors import BadInput

Base = TypeVar("Base")


def names(package: str) -> tuple[str, ...]:
    """The names of a package's plug-ins, sorted; imports none of them."""
    path = importlib.import_module(package).__path__
    return tuple(sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_")))


def load(package: str, name: str, base: type[Base]) -> type[Base]:
    """The one concrete subclass of `base` that the file `name` defines.

    Dashes count as underscores. Raises BadInput where there is no such file, and TypeError where
    the file defines none or several: that is a fault of the file, not of the caller.
    """
    module_name = name.replace("-", "_")
    if module_name not in names(package):
        raise BadInput(
            "name", name, ", ".join(names(package)), f"add {module_name}.py or choose one"
        )
    module = importlib.import_module(f"{package}.{module_name}")
    found = [
        c
        for c in vars(module).values()
        if inspect.isclass(c)
        and issubclass(c, base)
        and not inspect.isabstract(c)
        and c.__module__ == module.__name__
    ]
    if len(found) != 1:
        shown = ", ".join(c.__name__ for c in found) or "none"
        raise TypeError(f"{module.__name__} must define one {base.__name__}, defines {shown}")
    if not getattr(found[0], "__final__", False):
        raise TypeError(f"{module.__name__}.{found[0].__name__} must be marked @final")
    return found[0]
