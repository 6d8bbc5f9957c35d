"""The copy of the project in which mutmut works; the project's own files are never touched.

mutmut leaves functions with a decorator alone. The laws of this project stand in properties as well, so in
the copy ``@property`` and ``@contextmanager`` are applied behind the function instead of before it.
What is left out: functions with any other decorator but ``@classmethod`` and ``@staticmethod``, and what is
not in a function at all (constants, patterns, defaults of fields).
"""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

from tests.campaigns.mutation_groups import Group

_MOVED = ("property", "contextmanager")
_COPIED = ("core", "emulators", "tests")
_SECTION = """
[tool.mutmut]
source_paths = ["core"]
only_mutate = {modules}
also_copy = ["emulators"]
use_git_change_detection = false
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "-m", {marked}]
pytest_add_cli_args_test_selection = {tests}
"""


def lay_out(group: Group, root: Path, folder: Path) -> None:
    """Copy what a group needs into a new folder, with settings for mutmut.

    Args:
        root: Where the project lies.
        folder: What it holds is removed first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in _COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for module in group.modules:
        path = folder / module
        path.write_text(undecorated(path.read_text("utf-8")), "utf-8")
    settings = _SECTION.format(
        modules=json.dumps(group.modules), tests=json.dumps(group.tests), marked=json.dumps(group.marked)
    )
    project = (root / "pyproject.toml").read_text("utf-8")
    (folder / "pyproject.toml").write_text(project + settings, "utf-8")


def undecorated(source: str) -> str:
    """The same module, its properties and context managers made behind their functions."""
    lines = source.splitlines()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for function in sorted(functions, key=lambda function: function.lineno, reverse=True):
        if len(function.decorator_list) != 1:
            continue
        decorator = function.decorator_list[0]
        if isinstance(decorator, ast.Name) and decorator.id in _MOVED:
            indent = " " * function.col_offset
            lines.insert(
                function.end_lineno or len(lines),
                f"{indent}{function.name} = {decorator.id}({function.name})",
            )
            del lines[decorator.lineno - 1]
    return "\n".join(lines) + "\n"
