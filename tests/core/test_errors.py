"""The tree of errors: what its drawing says, what its classes are, and what retries make of it."""

from __future__ import annotations

import inspect
import pickle
import re
from dataclasses import dataclass

import pytest

from core import errors
from core.errors import ExportUnavailable, PipelineError, is_transient

_LINE = re.compile(r"(?P<branch>[ │├└─]*)(?P<name>[A-Z][A-Za-z]+)(?P<text>\b.*)")
_STEP = 4  # characters of indentation for each level


@dataclass(frozen=True)
class Kind:
    parent: str | None
    transient: bool


def drawn(docstring: str) -> dict[str, Kind]:
    """The tree as its drawing has it; ``inspect.cleandoc`` has taken off the common margin."""
    kinds: dict[str, Kind] = {}
    path: list[str] = []
    for line in docstring.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or not line.startswith(" "):
            continue
        depth = len(match["branch"]) // _STEP - 1
        path[depth:] = [match["name"]]
        kinds[match["name"]] = Kind(path[depth - 1] if depth else None, "(transient)" in match["text"])
    return kinds


def classes() -> dict[str, type[PipelineError]]:
    found = vars(errors).values()
    return {cls.__name__: cls for cls in found if isinstance(cls, type) and issubclass(cls, PipelineError)}


def built() -> dict[str, Kind]:
    """The tree as the classes have it."""
    return {
        name: Kind(None if cls is PipelineError else cls.__bases__[0].__name__, cls.transient)
        for name, cls in classes().items()
    }


DRAWING = inspect.cleandoc(errors.__doc__ or "")


def test_the_drawing_is_the_tree() -> None:
    assert drawn(DRAWING) == built()
    assert all(len(cls.__bases__) == 1 for cls in classes().values())


@pytest.mark.parametrize(
    ("here", "instead"),
    [
        ("    │   ├── BrokenAnswer ", "    ├── BrokenAnswer "),
        ("damaged                      (transient)", "damaged"),
        ("    ├── InvalidInput", "    ├── ValidInput"),
    ],
)
def test_a_drawing_that_is_not_the_tree_is_noticed(here: str, instead: str) -> None:
    assert here in DRAWING
    assert drawn(DRAWING.replace(here, instead)) != built()


def test_every_leaf_says_in_words_what_its_mark_says() -> None:
    tree = built()
    leaves = tree.keys() - {kind.parent for kind in tree.values()}
    for name in leaves:
        words = inspect.cleandoc(classes()[name].__doc__ or "").split("\n\n")[0]
        assert words.endswith("Transient." if tree[name].transient else "Permanent."), name


@pytest.mark.parametrize("cls", classes().values())
def test_every_error_can_be_pickled(cls: type[PipelineError]) -> None:
    error = cls("could not export 2025-12-23T19: wait")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert (copy.args, str(copy), is_transient(copy)) == (error.args, str(error), is_transient(error))


@pytest.mark.parametrize("cls", classes().values())
def test_retries_believe_the_mark(cls: type[PipelineError]) -> None:
    assert is_transient(cls("…")) is cls.transient


def test_no_error_is_transient_because_its_parent_is() -> None:
    transient = [cls for cls in classes().values() if cls.transient]
    assert ExportUnavailable in transient
    assert all(vars(cls).get("transient") is True for cls in transient)


class MadeUpError(Exception):
    transient = True


@pytest.mark.parametrize(
    "error", [ValueError("…"), TimeoutError("…"), ConnectionError("…"), KeyboardInterrupt(), MadeUpError("…")]
)
def test_foreign_errors_are_never_retried(error: BaseException) -> None:
    assert not is_transient(error)


def test_a_mark_alone_makes_nothing_ours() -> None:
    naive = getattr(MadeUpError("…"), "transient", False)
    assert naive
    assert not is_transient(MadeUpError("…"))
