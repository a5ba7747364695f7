"""Builds the application from its settings: the only package that knows every adapter.

Its names are loaded when they are first asked for: who opens a part, as the relay, loads that part.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prosa.bootstrap.app import RECOVER_SECONDS, App, bootstrap

__all__ = ["RECOVER_SECONDS", "App", "bootstrap"]

if not TYPE_CHECKING:  # a type checker would take it that every name exists

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'prosa.bootstrap' has no attribute {name!r}", name=name)
        return getattr(import_module("prosa.bootstrap.app"), name)
