"""The laws of the house hold, and each of them would notice if it were broken."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from scripts import locks
from tests import laws
from tests.laws import Module

ROOT = Path(__file__).resolve().parent.parent
Law = Callable[[Module], Iterator[str]]


def files_of_the_project() -> list[str]:
    """Every file that is in the repository or will be, as a path from its root."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(git, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive, or no git
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        listed = [str(path) for path in found if path.parts[0][0] != "." and "__pycache__" not in path.parts]
    return sorted(path for path in listed if path and (ROOT / path).is_file())


PATHS = files_of_the_project()
MODULES = [Module(path, (ROOT / path).read_text("utf-8")) for path in PATHS if path.endswith(".py")]


def nothing_in(violations: Iterable[str]) -> None:
    found = list(violations)
    assert not found, "\n".join(["", *found])


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


LAWS: list[Law] = [
    laws.imports_point_down,
    laws.rooms_are_strangers,
    laws.core_knows_no_prefect,
    laws.clients_stand_in_doors,
    laws.no_clock_below_flows,
    laws.nobody_prints,
    laws.imports_are_absolute,
    laws.own_imports_stand_on_top,
    laws.environment_is_for_blocks,
    laws.modules_are_short,
    laws.one_task_a_file,
]

BROKEN: list[tuple[Law, str, str]] = [
    (laws.imports_point_down, "core/hours.py", "import flows.ingest"),
    (laws.imports_point_down, "core/lake/store.py", "from blocks import pipeline"),
    (laws.imports_point_down, "blocks/pipeline.py", "from infra.aws import apply"),
    (laws.imports_point_down, "infra/aws.py", "from tasks.upload_hour import upload_hour"),
    (laws.imports_point_down, "tasks/load_hours.py", "def f():\n    import flows.ingest"),
    (laws.imports_point_down, "flows/ingest.py", "from emulators.amplitude import server"),
    (laws.imports_point_down, "flows/ingest.py", "import importlib\nimportlib.import_module('tests.laws')"),
    (laws.imports_point_down, "flows/ingest.py", "from scripts import locks"),
    (laws.imports_point_down, "emulators/amplitude/server.py", "from blocks import pipeline"),
    (laws.imports_point_down, "emulators/demo.py", "from tests import laws"),
    (laws.rooms_are_strangers, "core/lake/layout.py", "from core.warehouse import statements"),
    (laws.rooms_are_strangers, "core/amplitude/archive.py", "import core.lake.layout"),
    (laws.rooms_are_strangers, "core/warehouse/loader.py", "from core.planning import plan"),
    (laws.rooms_are_strangers, "core/warehouse/loader.py", "from core import lake"),
    (laws.rooms_are_strangers, "core/hours.py", "from core.lake import layout"),
    (laws.core_knows_no_prefect, "core/planning.py", "from prefect import task"),
    (laws.core_knows_no_prefect, "core/lake/store.py", "def f():\n    import prefect_aws"),
    (laws.clients_stand_in_doors, "core/lake/layout.py", "import boto3"),
    (laws.clients_stand_in_doors, "core/warehouse/statements.py", "from snowflake import connector"),
    (laws.clients_stand_in_doors, "tasks/upload_hour.py", "def f():\n    import botocore.exceptions"),
    (laws.clients_stand_in_doors, "flows/ingest.py", "import httpx"),
    (laws.no_clock_below_flows, "core/hours.py", "from datetime import datetime as dt\nx = dt.now()"),
    (laws.no_clock_below_flows, "core/hours.py", "import datetime\nx = datetime.date.today()"),
    (laws.no_clock_below_flows, "tasks/plan.py", "import time as t\nclock = t.time"),
    (laws.no_clock_below_flows, "blocks/pipeline.py", "from time import time"),
    (laws.no_clock_below_flows, "infra/aws.py", "from datetime import datetime\nnow = datetime.utcnow"),
    (laws.nobody_prints, "core/hours.py", "print('x')"),
    (laws.nobody_prints, "flows/doctor.py", "show = print"),
    (laws.imports_are_absolute, "tests/core/test_hours.py", "from . import x"),
    (laws.imports_are_absolute, "core/lake/store.py", "from ..hours import ExportHour"),
    (laws.own_imports_stand_on_top, "tasks/upload_hour.py", "def f():\n    from core import hours"),
    (
        laws.own_imports_stand_on_top,
        "flows/ingest.py",
        "class A:\n    def f(self):\n        import core.errors",
    ),
    (laws.environment_is_for_blocks, "core/hours.py", "import os\nx = os.environ['X']"),
    (laws.environment_is_for_blocks, "tasks/plan.py", "from os import getenv"),
    (laws.environment_is_for_blocks, "flows/ingest.py", "import os as o\no.getenv('X')"),
    (laws.modules_are_short, "core/hours.py", "\n" * (laws.LONGEST_MODULE + 1)),
    (
        laws.one_task_a_file,
        "tasks/plan.py",
        "@task\ndef a(): ...\n@task(retries=2)\ndef b(): ...",
    ),
]

ALLOWED: list[tuple[Law, str, str]] = [
    (laws.imports_point_down, "flows/ingest.py", "from tasks.plan import plan\nimport core.hours, infra.aws"),
    (laws.imports_point_down, "emulators/demo.py", "import flows.ingest"),
    (laws.imports_point_down, "tests/test_x.py", "import emulators"),
    (
        laws.rooms_are_strangers,
        "core/lake/store.py",
        "from core.lake import layout\nfrom core.hours import x",
    ),
    (
        laws.rooms_are_strangers,
        "core/planning.py",
        "from core.lake import layout\nimport core.amplitude.client",
    ),
    (laws.clients_stand_in_doors, "core/lake/store.py", "import boto3"),
    (laws.clients_stand_in_doors, "core/amplitude/client_retries.py", "import httpx"),
    (laws.clients_stand_in_doors, "emulators/s3/server.py", "import boto3"),
    (
        laws.no_clock_below_flows,
        "core/hours.py",
        "import time\nfrom datetime import datetime\nx = time.monotonic()",
    ),
    (laws.no_clock_below_flows, "flows/ingest.py", "from datetime import datetime\nx = datetime.now"),
    (laws.nobody_prints, "scripts/lock.py", "print()"),
    (laws.own_imports_stand_on_top, "blocks/pipeline.py", "def f():\n    import prefect_snowflake"),
    (laws.environment_is_for_blocks, "blocks/register.py", "import os\nos.environ"),
    (laws.modules_are_short, "emulators/s3.py", "\n" * 1000),
    (laws.one_task_a_file, "tasks/plan.py", "@task\ndef a(): ...\ndef b(): ..."),
]


def named(case: object) -> str:
    return getattr(case, "__name__", str(case).split("\n")[0][:40])


@pytest.mark.parametrize("law", LAWS, ids=named)
def test_every_module_keeps_the_law(law: Law) -> None:
    nothing_in(violation for module in MODULES for violation in law(module))


@pytest.mark.parametrize(("law", "path", "text"), BROKEN, ids=named)
def test_a_module_that_breaks_the_law_is_noticed(law: Law, path: str, text: str) -> None:
    assert list(law(Module(path, text)))


@pytest.mark.parametrize(("law", "path", "text"), ALLOWED, ids=named)
def test_what_the_law_allows_is_left_alone(law: Law, path: str, text: str) -> None:
    assert list(law(Module(path, text))) == []


def test_every_law_has_a_negative_control() -> None:
    assert {law for law, _, _ in BROKEN} == set(LAWS)


def test_every_sql_file_is_used() -> None:
    statements = [path for path in PATHS if path.endswith(".sql")]
    nothing_in(laws.every_statement_is_used(statements, MODULES))


def test_a_sql_file_that_nobody_uses_is_noticed() -> None:
    modules = [
        Module("core/warehouse/statements.py", 'read("begin")'),
        Module("tests/x.py", 'read("commit")'),
    ]
    sql = ["core/warehouse/sql/begin.sql", "core/warehouse/sql/commit.sql"]
    assert list(laws.every_statement_is_used(sql, modules)) == [
        "core/warehouse/sql/commit.sql is used by nobody"
    ]


def test_every_folder_of_tests_is_a_package() -> None:
    nothing_in(laws.folders_of_tests_are_packages(PATHS))


def test_a_folder_of_tests_without_init_is_noticed() -> None:
    paths = ["tests/__init__.py", "tests/tasks/test_plan.py", "tests/fixtures/event.json", "core/x.py"]
    assert list(laws.folders_of_tests_are_packages(paths)) == ["tests/tasks has no __init__.py"]


def test_every_module_has_its_test() -> None:
    nothing_in(laws.modules_have_their_tests(PATHS))


def test_a_module_without_a_test_is_noticed() -> None:
    paths = ["core/__init__.py", "core/hours.py", "core/lake/store.py", "tests/core/test_hours_laws.py"]
    assert list(laws.modules_have_their_tests(paths)) == [
        "core/lake/store.py has no tests/core/lake/test_store.py"
    ]


TREE = """# Title
```
flows/         the plans
  ingest.py    scheduled
core/          the craft
  hours.py errors.py
  lake/        keys
tests/
Dockerfile  README.md  (+ Makefile)
```
"""
TREE_FILES = [
    "flows/__init__.py", "flows/ingest.py", "core/hours.py", "core/errors.py", "core/lake/store.py",
    "tests/test_house.py", "Dockerfile", "README.md", "LICENSE", ".ci/run",
]  # fmt: skip


def test_the_readme_s_tree_is_the_tree() -> None:
    nothing_in(laws.tree_is_the_tree(text_of("README.md"), PATHS))


def test_a_tree_that_is_the_tree_is_left_alone() -> None:
    assert list(laws.tree_is_the_tree(TREE, TREE_FILES)) == []


@pytest.mark.parametrize(
    ("readme", "files", "missed"),
    [
        (TREE, [*TREE_FILES, "flows/audit.py"], "the README's tree lacks flows/audit.py"),
        (TREE, [*TREE_FILES, "core/warehouse/loader.py"], "the README's tree lacks core/warehouse/"),
        (TREE, [*TREE_FILES, "infra/aws.py"], "the README's tree lacks infra/"),
        (TREE, TREE_FILES[2:], "the README shows flows/ingest.py, which does not exist"),
        ("no tree", TREE_FILES, "the README has no tree: a fenced block that begins with flows/"),
    ],
)
def test_a_tree_that_is_not_the_tree_is_noticed(readme: str, files: list[str], missed: str) -> None:
    assert missed in list(laws.tree_is_the_tree(readme, files))


def test_no_file_holds_a_secret_or_names_a_machine() -> None:
    # A checkout in a folder like /app says nothing about a machine; one in a home folder does.
    machine = [str(ROOT)] if len(ROOT.parts) > 2 else []
    found: list[str] = []
    for path in PATHS:
        if path != "tests/test_house.py":
            text = (ROOT / path).read_bytes().decode("utf-8", errors="replace")
            found += laws.nothing_private(path, text, machine)
    nothing_in(found)


@pytest.mark.parametrize(
    "text",
    [
        "key = 'AKIA" + "ABCDEFGHIJKLMNOP'",
        "AWS_SECRET_KEY=" + "abcdEFGH" * 5,
        "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIB" * 8,
        "AMP_API_KEY=" + "0123abcd" * 4,
        "ghp_" + "a" * 36,
        "see /home/somebody/project",
        "open('/Users/somebody/x')",
        "cd /srv/checkouts/house && make",
    ],
)
def test_a_secret_or_a_machine_s_path_is_noticed(text: str) -> None:
    assert list(laws.nothing_private("x.py", text, ["/srv/checkouts/house"]))


@pytest.mark.parametrize(
    "text", ["AKIAIOSFODNN7EXAMPLE", "AMP_API_KEY=", "https://example.com/home/x", "~/root/x"]
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert list(laws.nothing_private("x.py", text)) == []


def test_every_setting_is_documented_and_read() -> None:
    nothing_in(laws.settings_are_documented(text_of(".env.example"), MODULES))


def test_a_setting_that_is_undocumented_or_unread_is_noticed() -> None:
    modules = [Module("blocks/register.py", "a = env['AMP_API_KEY'], env['BUCKET_NAME']")]
    assert list(laws.settings_are_documented("# A comment\nAMP_API_KEY=\n# KMS_KEY_ID=\n", modules)) == [
        ".env.example lacks BUCKET_NAME, which blocks read",
        ".env.example offers KMS_KEY_ID, which blocks do not read",
    ]


LOCK_FILES = {
    name: (ROOT / name).read_text("utf-8") for pair in locks.LOCKS.items() for name in (pair[0], *pair[1])
}


def test_the_locks_are_whole_and_made_from_their_sources() -> None:
    nothing_in(locks.problems_of(LOCK_FILES))


@pytest.mark.parametrize(
    ("name", "old", "new", "noticed"),
    [
        (
            "requirements.in",
            "tenacity",
            "tenacity\nhttp3",
            "requirements.txt was not made from requirements.in",
        ),
        (
            "requirements-dev.in",
            "pytest-timeout",
            "",
            "requirements-dev.txt was not made from requirements-dev.in",
        ),
        ("requirements.txt", "# requirements.in sha256", "# sha256", "requirements.txt was not made from"),
        (
            "requirements.txt",
            "prefect==",
            "prefect>=",
            "requirements.txt: not a pinned requirement: prefect>=",
        ),
        ("requirements.txt", "prefect==", "prefect==0+", "prefect is 0+"),
        ("requirements-dev.txt", "httpx==", "httpy==", "requirements-dev.txt lacks httpx"),
        ("requirements-dev.txt", "--hash=sha256:", "--hash=md5:", "has no hash"),
    ],
)
def test_a_lock_that_does_not_hold_is_noticed(name: str, old: str, new: str, noticed: str) -> None:
    assert old in LOCK_FILES[name]
    problems = list(locks.problems_of(LOCK_FILES | {name: LOCK_FILES[name].replace(old, new)}))
    assert any(noticed in problem for problem in problems)


def test_a_comment_in_a_source_needs_no_new_lock() -> None:
    changed = LOCK_FILES | {"requirements.in": "# why not\n\n" + LOCK_FILES["requirements.in"]}
    assert list(locks.problems_of(changed)) == []
