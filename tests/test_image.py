"""The image holds what its flows need: the steps of the Dockerfile, without an engine."""

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
OWN = {*FOLDERS, *sys.stdlib_module_names}


@functools.cache
def brought_by() -> dict[str, set[str]]:
    """The distributions that bring each top-level module, by the names that a lock uses."""
    found = importlib.metadata.packages_distributions().items()
    return {module: {re.sub(r"[-_.]+", "-", name).lower() for name in names} for module, names in found}


def not_in_the_image(text: str, locked: frozenset[str]) -> Iterator[str]:
    """Modules that a source imports when it runs, and that no locked distribution brings."""
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
            if top not in OWN and not brought_by().get(top, set()) & locked:
                yield name


def test_the_image_holds_the_house_without_its_stage() -> None:
    assert sorted(FOLDERS) == ["blocks", "core", "flows", "infra", "tasks"]
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert [f"!{folder}/" for folder in FOLDERS if f"!{folder}/" not in ignored] == []


def test_what_production_code_imports_is_in_the_runtime_lock() -> None:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    missing = {str(path): list(not_in_the_image(path.read_text("utf-8"), LOCKED)) for path in paths}
    assert {path: names for path, names in missing.items() if names} == {}


def test_an_import_that_only_the_tests_lock_brings_is_noticed() -> None:
    assert list(not_in_the_image("import os, httpx\nfrom moto.core import x", LOCKED)) == ["moto.core"]
    assert list(not_in_the_image("def f():\n    import httpx", LOCKED - {"httpx"})) == ["httpx"]
    assert list(not_in_the_image("if TYPE_CHECKING:\n    from mypy_boto3_s3 import S3Client", LOCKED)) == []


@pytest.mark.slow
def test_the_flows_import_from_what_is_copied(tmp_path: Path) -> None:
    (step,) = re.findall(r'python -c "(import [^"]+)"', DOCKERFILE)
    app = tmp_path / "app"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, app / folder, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(app), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", step], cwd=app, env=environment, check=True)
