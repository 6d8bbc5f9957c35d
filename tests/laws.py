"""The laws of the house. Each takes sources as data and names what breaks it.

A law imports nothing of what it judges, so it can be shown a made-up module as well as a real one:
beside each use in ``test_house.py`` stands a negative control.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath

#: A package may import itself and what stands to its right.
FLOORS = ("flows", "tasks", "infra", "blocks", "core")
FIRST_PARTY = {*FLOORS, "emulators", "scripts", "tests"}

#: What the rehearsal stage may use; its play (emulators/demo*) puts the whole house on the stage.
STAGE = {"emulators", "infra", "core"}
PLAY = {"emulators", *FLOORS}

ROOMS = ("amplitude", "lake", "warehouse")
SHARED = ("core.hours", "core.errors")

#: Libraries that reach outside, and the only modules that may import them.
CLIENTS = {
    "httpx", "requests", "urllib3", "aiohttp", "boto3", "botocore", "s3transfer", "aiobotocore", "snowflake",
    "mypy_boto3_s3", "mypy_boto3_iam", "mypy_boto3_kms", "mypy_boto3_sts",
}  # fmt: skip
DOORS = (
    "core/amplitude/client*.py",
    "core/lake/store*.py",
    "core/warehouse/loader*.py",
    "core/warehouse/session*.py",
    "infra/aws*.py",
    "infra/aws/*.py",
    "infra/snowflake*.py",
    "infra/snowflake/*.py",
    "blocks/*.py",
)

CLOCKS = {
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
    "time.time", "time.time_ns", "time.gmtime", "time.localtime", "time.ctime", "time.strftime",
    "pendulum.now", "pendulum.today", "email.utils.localtime", "prefect.types._datetime.now",
}  # fmt: skip
ENVIRONMENT = {
    "os.environ",
    "os.environb",
    "os.getenv",
    "os.putenv",
    "dotenv.load_dotenv",
    "dotenv.dotenv_values",
}

LONGEST_MODULE = 250


@dataclass(frozen=True)
class Module:
    """A Python source file: its path from the project's root, and its text."""

    path: str
    text: str

    @property
    def package(self) -> str:
        """The top-level folder: the floor it stands on."""
        return PurePosixPath(self.path).parts[0]

    @property
    def tree(self) -> ast.Module:
        return _parse(self.text)

    def at(self, node: ast.AST, what: str) -> str:
        """One line for one violation."""
        return f"{self.path}:{getattr(node, 'lineno', 1)} {what}"


@functools.cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


def _imports(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every import, wherever it stands, as (node, dotted name); ``from a import b`` is ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
                yield node, node.args[0].value


def _names(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every name and attribute that is used, as (node, dotted name with its import resolved)."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {
                a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0]
                for a in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)

    def dotted(node: ast.AST) -> str:
        if isinstance(node, ast.Attribute):
            return f"{dotted(node.value)}.{node.attr}"
        return known.get(node.id, node.id) if isinstance(node, ast.Name) else "?"

    yield from ((node, dotted(node)) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name))


def imports_point_down(module: Module) -> Iterator[str]:
    """flows → tasks → infra → blocks → core; nobody needs the stage, the scripts or the tests."""
    if module.package in FLOORS:
        allowed = set(FLOORS[FLOORS.index(module.package) :])
    elif module.package == "emulators":
        allowed = PLAY if fnmatch(module.path, "emulators/demo*") else STAGE
    else:
        return
    for node, name in _imports(module.tree):
        top = name.split(".")[0]
        if top in FIRST_PARTY and top not in allowed:
            yield module.at(
                node, f"imports {name}, and {module.package} may use {', '.join(sorted(allowed))} only"
            )


def rooms_are_strangers(module: Module) -> Iterator[str]:
    """The rooms of core share hours and errors; whatever brings two of them together is outside."""
    parts = PurePosixPath(module.path).parts
    shared = module.path in {f"{name.replace('.', '/')}.py" for name in SHARED}
    if parts[0] != "core" or not (shared or parts[1] in ROOMS):
        return
    own = SHARED if shared else (*SHARED, f"core.{parts[1]}")
    for node, name in _imports(module.tree):
        if name.split(".")[0] == "core" and not any(f"{name}.".startswith(f"{one}.") for one in own):
            yield module.at(node, f"imports {name}; of core it may use {', '.join(own)} only")


def core_knows_no_prefect(module: Module) -> Iterator[str]:
    """The craft could be run by any engine."""
    if module.package == "core":
        for node, name in _imports(module.tree):
            if name.split(".")[0].startswith("prefect"):
                yield module.at(node, f"imports {name}")


def clients_stand_in_doors(module: Module) -> Iterator[str]:
    """What reaches outside is imported in doors and blocks, so that the rest can be tested without."""
    if module.package not in FLOORS or any(fnmatch(module.path, door) for door in DOORS):
        return
    for node, name in _imports(module.tree):
        if name.split(".")[0] in CLIENTS:
            yield module.at(node, f"imports {name}, and is not a door")


def no_clock_below_flows(module: Module) -> Iterator[str]:
    """Time comes in as an argument. Durations (time.monotonic, time.perf_counter) may be measured."""
    if module.package in FLOORS[1:]:
        for node, name in _names(module.tree):
            if name in CLOCKS:
                yield module.at(node, f"reads the clock: {name}")


def nobody_prints(module: Module) -> Iterator[str]:
    """Production code logs, or returns what is to be shown."""
    if module.package in FLOORS:
        for node, name in _names(module.tree):
            if name == "print":
                yield module.at(node, "prints")


def imports_are_absolute(module: Module) -> Iterator[str]:
    """A name in an import says where the thing is."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield module.at(node, "imports relatively")


def own_imports_stand_on_top(module: Module) -> Iterator[str]:
    """Prefect takes the code's folder off sys.path once a flow is loaded: later is too late."""
    if module.package not in FLOORS:
        return
    for function in ast.walk(module.tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for node, name in _imports(function):
                if name.split(".")[0] in FIRST_PARTY:
                    yield module.at(node, f"imports {name} inside a function")


def environment_is_for_blocks(module: Module) -> Iterator[str]:
    """Configuration has one entrance."""
    if module.package in FLOORS and module.package != "blocks":
        for node, name in _names(module.tree):
            if name in ENVIRONMENT:
                yield module.at(node, f"looks into the environment: {name}")


def modules_are_short(module: Module) -> Iterator[str]:
    """Short enough to be read in one go."""
    lines = module.text.count("\n")
    if module.package in FLOORS and lines > LONGEST_MODULE:
        yield f"{module.path} has {lines} lines, more than {LONGEST_MODULE}"


def one_task_a_file(module: Module) -> Iterator[str]:
    """A verb has its own file, named after it."""
    if module.package == "tasks":
        tasks = [
            node
            for node in ast.walk(module.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for decorator in node.decorator_list
            if getattr(decorator.func if isinstance(decorator, ast.Call) else decorator, "id", "") == "task"
        ]
        for extra in tasks[1:]:
            yield module.at(extra, f"is a second task: {extra.name}")


def every_statement_is_used(sql_paths: Iterable[str], modules: Iterable[Module]) -> Iterator[str]:
    """Each .sql file is named, as a string, by a module of the room or of the set-up."""
    named = {
        node.value.removesuffix(".sql")
        for module in modules
        if module.path.startswith(("core/warehouse/", "infra/"))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    yield from (f"{path} is used by nobody" for path in sql_paths if PurePosixPath(path).stem not in named)


def folders_of_tests_are_packages(paths: Iterable[str]) -> Iterator[str]:
    """Without __init__.py in tests/tasks, `import tasks.x` would find the tests."""
    present = set(paths)
    for folder in sorted({str(PurePosixPath(path).parent) for path in present if path.endswith(".py")}):
        if folder.split("/")[0] == "tests" and f"{folder}/__init__.py" not in present:
            yield f"{folder} has no __init__.py"


def modules_have_their_tests(paths: Iterable[str]) -> Iterator[str]:
    """core/lake/layout.py is tested in tests/core/lake/test_layout*.py."""
    present = set(paths)
    for path in map(PurePosixPath, sorted(present)):
        if (
            path.suffix == ".py"
            and path.parts[0] in {"flows", "tasks", "blocks", "core"}
            and path.stem[:2] != "__"
        ):
            mirror = f"tests/{path.parent}/test_{path.stem.lstrip('_')}"
            if not any(other.startswith(mirror) for other in present):
                yield f"{path} has no {mirror}.py"


_TREE_NAME = re.compile(r"[\w.-]*\w(/|\.\w+)|\.[\w/.-]+|Dockerfile|Makefile|LICENSE")


def tree_in(readme: str) -> set[str]:
    """The paths that the README's tree shows: the fenced block that begins with ``flows/``."""
    block = re.search(r"^```[^\n]*\n(flows/.*?)^```", readme, re.DOTALL | re.MULTILINE)
    shown: set[str] = set()
    folders: list[tuple[int, str]] = []
    for line in block[1].splitlines() if block else []:
        indent = len(line) - len(line.lstrip())
        folders = [(depth, name) for depth, name in folders if depth < indent]
        for word in line.split():
            if not _TREE_NAME.fullmatch(word):
                break
            path = "".join(name for _, name in folders) + word
            shown.add(path)
        if line.split() and line.split()[0].endswith("/"):
            folders.append((indent, line.split()[0]))
    return shown


def tree_is_the_tree(readme: str, paths: Iterable[str]) -> Iterator[str]:
    """What the README shows exists; every top-level folder is shown; an opened folder is shown whole."""
    shown = tree_in(readme)
    present: set[str] = set()
    for file in map(PurePosixPath, paths):
        present |= {str(file), *(f"{parent}/" for parent in file.parents if str(parent) != ".")}
    if not shown:
        yield "the README has no tree: a fenced block that begins with flows/"
        return
    yield from (f"the README shows {path}, which does not exist" for path in sorted(shown - present))
    opened = {f"{PurePosixPath(path).parent}/" for path in shown} - {"./"}
    for path in sorted(present - shown):
        parent = f"{PurePosixPath(path).parent}/"
        top_level = parent == "./" and path.endswith("/") and path[0] != "."
        module = path.endswith((".py", "/")) and not path.endswith("/__init__.py")
        if top_level or (parent in opened and module):
            yield f"the README's tree lacks {path}"


_SECRETS = {
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)(?!\w*EXAMPLE)[0-9A-Z]{16}\b"),
    "an AWS secret key": re.compile(r"(?i)aws_?secret\w*\W{1,4}[A-Za-z0-9/+]{40}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\\n|\s)*[A-Za-z0-9+/]{40}"),
    "an Amplitude key": re.compile(r"(?i)(?:api|secret)_?key\W{1,4}[0-9a-f]{32}\b"),
    "a token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|xox[abp]-[0-9A-Za-z-]{20,}|pnu_[A-Za-z0-9]{20,})"),
    "a path of somebody's machine": re.compile(r"(?<![\w.~/-])/(?:home|Users|root)/\w"),
}


def nothing_private(path: str, text: str, machine: Iterable[str] = ()) -> Iterator[str]:
    """No secrets, and no trace of the machine that the file was written on.

    Args:
        path: The file.
        text: What is in it.
        machine: Paths of this machine, each as it would be written.
    """
    patterns = _SECRETS | {
        f"a path of this machine ({one})": re.compile(re.escape(one) + r"(?![\w-])") for one in machine
    }
    for what, pattern in patterns.items():
        for match in pattern.finditer(text):
            yield f"{path}:{text.count(chr(10), 0, match.start()) + 1} looks like {what}"


_SETTING = re.compile(r"(?:AMP|AWS|SNOWFLAKE)_[A-Z0-9_]+|BUCKET_[A-Z_]+|KMS_KEY_ID")

#: Names of older set-ups that are recognised in order to say what has taken their place.
_RETIRED = {"SNOWFLAKE_PASSWORD"}


def settings_are_documented(example: str, modules: Iterable[Module]) -> Iterator[str]:
    """What blocks read from the environment stands in .env.example, and nothing else does."""
    offered = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    read = {
        node.value
        for module in modules
        if module.package == "blocks"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SETTING.fullmatch(node.value)
    }
    yield from (f".env.example lacks {name}, which blocks read" for name in sorted(read - offered - _RETIRED))
    yield from (f".env.example offers {name}, which blocks do not read" for name in sorted(offered - read))


def parameters_fit(
    name: str, taken: Iterable[str], required: Iterable[str], given: Iterable[str]
) -> Iterator[str]:
    """A deployment gives what its flow takes, and all that it must have."""
    yield from (
        f"{name} gives {one}, which its flow does not take" for one in sorted(set(given) - set(taken))
    )
    yield from (
        f"{name} does not give {one}, which its flow needs" for one in sorted(set(required) - set(given))
    )
