"""`import prosa` offers what another service needs."""

import importlib
import inspect
import pkgutil

import prosa
from prosa.application import ports
from prosa.domain.errors import ProsaError


def test_every_error_and_every_port_is_public() -> None:
    modules = [
        importlib.import_module(f"{ports.__name__}.{found.name}")
        for found in pkgutil.iter_modules(ports.__path__)
    ]
    modules.append(importlib.import_module(ProsaError.__module__))
    defined = {
        name
        for module in modules
        for name, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__ == module.__name__
    }
    assert defined - set(prosa.__all__) == set()


def test_the_function_is_public_where_its_module_has_its_name() -> None:
    name = "prosa.bootstrap"
    module = importlib.import_module(name)
    setattr(prosa, name.rpartition(".")[2], module)  # as importing it does the first time
    assert prosa.bootstrap is module.bootstrap
