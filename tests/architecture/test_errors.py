"""The error tree drawn at the top of `prosa/domain/errors.py` is the real one."""

import importlib
import pkgutil
from collections.abc import Iterator

from prosa.application import ports
from prosa.domain import errors
from prosa.domain.errors import PortFailure, ProsaError

LINES = "│├└─ "

CORE = ("prosa.domain.", "prosa.application.")


def drawn_tree() -> dict[str, str]:
    """Read the drawing: each path from the root, and its star."""
    assert errors.__doc__ is not None
    _, _, drawing = errors.__doc__.partition("\n\n")
    drawing, _, _ = drawing.partition("\n\n")
    above: list[str] = []
    tree: dict[str, str] = {}
    for line in drawing.splitlines():
        name = line.lstrip(LINES)
        above[depth_of(line) :] = [name.rstrip("*")]
        tree["/".join(above)] = "*" if name.endswith("*") else ""
    return tree


def depth_of(line: str) -> int:
    """Count the levels above: the first is drawn three characters wide, each other four."""
    return (len(line) - len(line.lstrip(LINES)) + 3) // 4


def real_tree(error: type[ProsaError] = ProsaError, above: str = "") -> Iterator[tuple[str, str]]:
    """Walk the classes of the core: adapters of a test's own are no part of it."""
    path = above + error.__name__
    transient = issubclass(error, PortFailure) and error.transient
    yield path, "*" if transient else ""
    for child in error.__subclasses__():
        if child.__module__.startswith(CORE):
            yield from real_tree(child, f"{path}/")


def import_every_port() -> None:
    for module in pkgutil.iter_modules(ports.__path__, f"{ports.__name__}."):
        importlib.import_module(module.name)


def test_the_tree_drawn_is_the_real_one() -> None:
    import_every_port()
    assert drawn_tree() == dict(real_tree())


def test_the_drawing_names_every_class_once() -> None:
    names = [path.rpartition("/")[2] for path in drawn_tree()]
    assert len(names) == len(set(names))
    assert len(names) > 25


def test_only_leaves_are_transient_so_that_each_says_it_for_itself() -> None:
    import_every_port()
    starred = [path for path, star in drawn_tree().items() if star]
    assert not [path for path in drawn_tree() for star in starred if path.startswith(f"{star}/")]
