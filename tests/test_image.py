"""The image holds what its flows need: the steps of the Dockerfile, without an engine.

Likewise .venv holds what emulators and tests need, and because somebody asked for it.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from scripts.locks import pins_of

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
FOLDERS = re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE)
LOCKED = frozenset(pins_of((ROOT / "requirements.txt").read_text("utf-8")))
LOCKED_FOR_TESTS = frozenset(pins_of((ROOT / "requirements-dev.txt").read_text("utf-8")))
STAGE = ("emulators", "tests", "scripts")
OWN = {*FOLDERS, *sys.stdlib_module_names}
#: Distributions whose modules are the public face of another one, which is the one to name.
FACE_OF = {"botocore": "boto3", "pydantic": "prefect"}


@functools.cache
def brought_by() -> dict[str, set[str]]:
    """The distributions that bring each top-level module, by the names that a lock uses."""
    found = importlib.metadata.packages_distributions().items()
    return {module: {re.sub(r"[-_.]+", "-", name).lower() for name in names} for module, names in found}


def named_in(*sources: str) -> frozenset[str]:
    """The distributions that these texts ask for by name, as a lock writes them."""
    lines = (line for source in sources for line in source.splitlines())
    found = (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line) for line in lines)
    return frozenset(re.sub(r"[-_.]+", "-", name[0]).lower() for name in found if name)


NAMED = named_in(*((ROOT / name).read_text("utf-8") for name in ("requirements.in", "requirements-dev.in")))
NAMED |= {module for module, face in FACE_OF.items() if face in NAMED}


def not_brought(text: str, distributions: frozenset[str], folders: Iterable[str] = ()) -> Iterator[str]:
    """Modules that a source imports when it runs, and that neither these distributions nor folders bring."""
    own = {*OWN, *folders}
    tree = ast.parse(text)
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        names: Iterable[str] = ()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names if id(node) not in for_types else ():
            top = name.partition(".")[0]
            if top not in own and not brought_by().get(top, set()) & distributions:
                yield name


def test_the_image_holds_the_house_without_its_stage() -> None:
    assert sorted(FOLDERS) == ["blocks", "core", "flows", "infra", "tasks"]
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert [f"!{folder}/" for folder in FOLDERS if f"!{folder}/" not in ignored] == []


def missing_in(folders: Iterable[str], distributions: frozenset[str]) -> dict[str, list[str]]:
    """What these distributions do not bring, by the file that imports it."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    missing = {
        str(path): list(not_brought(path.read_text("utf-8"), distributions, folders)) for path in paths
    }
    return {path: names for path, names in missing.items() if names}


def test_what_production_code_imports_is_in_the_runtime_lock() -> None:
    assert missing_in(FOLDERS, LOCKED) == {}


def test_an_import_that_only_the_tests_lock_brings_is_noticed() -> None:
    assert list(not_brought("import os, httpx\nfrom moto.core import x", LOCKED)) == ["moto.core"]
    assert list(not_brought("def f():\n    import httpx", LOCKED - {"httpx"})) == ["httpx"]
    assert list(not_brought("if TYPE_CHECKING:\n    from mypy_boto3_s3 import S3Client", LOCKED)) == []


def test_what_emulators_and_tests_import_is_locked_and_asked_for_by_name() -> None:
    assert missing_in(STAGE, LOCKED_FOR_TESTS) == {}
    assert missing_in(STAGE, NAMED) == {}


def test_an_import_that_nobody_asks_for_by_name_is_noticed() -> None:
    imports = "import anyio, duckdb\nfrom jwt import decode\nimport botocore.config, yaml, moto.s3"
    assert list(not_brought(imports, LOCKED_FOR_TESTS)) == []
    assert list(not_brought(imports, NAMED)) == ["anyio"]
    assert list(not_brought(imports, NAMED - {"duckdb", "pyjwt"})) == ["anyio", "duckdb", "jwt"]
    assert named_in("# a comment\n-r b.txt\nPyJWT  # why\nboto3-stubs[s3]<2\nprefect==3") == {
        "pyjwt",
        "boto3-stubs",
        "prefect",
    }


@pytest.mark.slow
def test_the_flows_import_from_what_is_copied(tmp_path: Path) -> None:
    (step,) = re.findall(r'python -c "(import [^"]+)"', DOCKERFILE)
    app = tmp_path / "app"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, app / folder, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(app), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", step], cwd=app, env=environment, check=True)
