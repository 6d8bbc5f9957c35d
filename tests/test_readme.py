"""The README says what is so: its commands, tables, quotations, links and its snippet are tried."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import pytest

from core.hours import ExportHour

if TYPE_CHECKING:
    from emulators.s3 import S3Emulator

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
PACKAGES = ("flows", "tasks", "blocks", "core", "infra", "scripts")

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<kind>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_PROSE_COMMAND = re.compile(r"`(python -m [^`]+|make [a-z][^`]*)`")


def blocks_of(*kinds: str) -> Iterator[str]:
    """The bodies of fenced blocks."""
    yield from (block["body"] for block in _FENCE.finditer(README) if block["kind"] in kinds)


def commands() -> list[list[str]]:
    """Every command of a console or sh block, and those quoted in the text, split at spaces."""
    lines = [line.strip() for block in blocks_of("console", "sh") for line in block.splitlines()]
    shown = [line.removeprefix("$ ") for line in lines if line.startswith(("$ ", "make ", "python -m "))]
    return [command.split() for command in [*shown, *_PROSE_COMMAND.findall(README)]]


def module_commands() -> dict[str, set[str]]:
    """What is given to ``python -m``: each module, with every option that is used with it."""
    used: dict[str, set[str]] = {}
    for words in commands():
        if words[:2] == ["python", "-m"]:
            used.setdefault(words[2], set()).update(word for word in words[3:] if word.startswith("--"))
    return used


def table_under(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, cells without their padding."""
    section = README.split(f"\n{heading}\n", 1)[1]
    rows = re.search(r"^\|.*?(?=\n\n)", section, re.DOTALL | re.MULTILINE)
    assert rows is not None, heading
    lines = rows[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def name_in(cell: str) -> str:
    """The first quotation of a cell."""
    found = re.search(r"`([^`]+)`", cell)
    assert found is not None, cell
    return found[1]


MODULES = module_commands()


def test_the_readme_shows_commands() -> None:
    assert {"infra", "blocks.register", "flows.ingest", "flows.extract", "emulators"} <= MODULES.keys()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_that_is_shown_can_be_run(module: str) -> None:
    path = ROOT / module.replace(".", "/")
    file = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")

    assert 'if __name__ == "__main__":' in file.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_option_that_is_shown_exists(module: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    helped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)

    assert set(re.findall(r"--[a-z][a-z-]*", helped.stdout)) >= MODULES[module]


def test_every_make_target_that_is_shown_exists() -> None:
    shown = {words[1] for words in commands() if words[0] == "make" and len(words) > 1}
    makefile = (ROOT / "Makefile").read_text("utf-8")

    assert {"run", "test"} <= shown
    assert shown <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


@pytest.mark.slow
def test_the_table_of_settings_is_the_pipeline_s_fields() -> None:
    from blocks.pipeline import AmplitudePipeline
    from blocks.register import _REPLACED

    shown = {name_in(row[0]): (row[2].strip("`"), row[3]) for row in table_under("## Settings")}
    written = {
        name_in(row[0]) for row in table_under("## Settings") if row[0].endswith("†") or row[2] == "required"
    }

    assert shown == {
        name: (default_of(field), limits_of(field)) for name, field in AmplitudePipeline.model_fields.items()
    }
    assert written | {"warehouse"} == _REPLACED


def default_of(field: Any) -> str:
    """A default as the table puts it."""
    if field.is_required():
        return "required"
    return (
        "none"
        if field.default is None
        else f"{field.default:g}"
        if type(field.default) is float
        else str(field.default)
    )


def limits_of(field: Any) -> str:
    """Limits as the table puts them."""
    bounds = {
        kind: getattr(rule, kind) for rule in field.metadata for kind in ("ge", "le") if hasattr(rule, kind)
    }
    if bounds:
        return f"{bounds['ge']}–{bounds['le']}"
    kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if get_origin(kind) is Literal]
    choices = get_args(kinds[0]) if kinds else (True, False) if field.annotation is bool else ()
    return ", ".join(f"`{choice}`" for choice in choices)


OFFERED = re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", EXAMPLE, re.MULTILINE)


def test_every_variable_that_the_readme_names_is_in_the_example() -> None:
    named = set(
        re.findall(r"\b(?:(?:AMP|AWS|SNOWFLAKE)_[A-Z0-9_]*[A-Z0-9]|BUCKET_[A-Z]+|KMS_KEY_ID)\b", README)
    )

    assert {"AMP_BASE_URL", "BUCKET_NAME"} <= named
    assert named <= set(OFFERED)
    assert len(OFFERED) == len(set(OFFERED))


def said_to_be_needed(beginning: str) -> set[str]:
    """The variables that a sentence of the example's comments lists."""
    comments = " ".join(line.removeprefix("#").strip() for line in EXAMPLE.splitlines() if line[:1] == "#")
    sentence = comments.split(f"{beginning}: ", 1)[1].split(".", 1)[0]
    return set(re.findall(r"[A-Z]+(?:_[A-Z]+)+", sentence))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("beginning", "variables"),
    [("Needed", {}), ("Needed for it", {"SNOWFLAKE_ROLE": "LOADER"})],
)
def test_what_the_example_calls_needed_is_what_registering_asks_for(
    beginning: str, variables: dict[str, str]
) -> None:
    from blocks.environment import settings_from
    from core.errors import InvalidInput

    with pytest.raises(InvalidInput) as refused:
        settings_from(variables)
    asked_for = set(re.findall(r"- ([A-Z_]+) is missing", str(refused.value)))
    if variables:
        asked_for -= said_to_be_needed("Needed")

    assert asked_for
    assert said_to_be_needed(beginning) == asked_for


@cache
def texts_of_the_source() -> str:
    """Every string of the code, one a line, with … where a value goes; shell scripts as they are."""
    texts = [path.read_text("utf-8") for path in (ROOT / "scripts").glob("*.sh")]
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    texts.append("".join(piece_of(piece) for piece in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return "\n".join(texts)


def piece_of(piece: ast.expr) -> str:
    """A piece of an f-string: itself, or … for a value."""
    return str(piece.value) if isinstance(piece, ast.Constant) else "…"


QUOTED = [name_in(row[1]) for row in table_under("## Troubleshooting") if row[1]]


@pytest.mark.parametrize("text", QUOTED)
def test_every_error_that_is_quoted_is_one_of_ours(text: str) -> None:
    assert text in texts_of_the_source()


def test_an_error_that_nobody_raises_would_be_noticed() -> None:
    assert len(QUOTED) > 20
    assert "does not know this API key and no secret key" not in texts_of_the_source()


def test_internal_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", README) if "://" not in link]
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert links
    assert [link for link in links if link[0] == "#" and link[1:] not in anchors] == []
    assert [link for link in links if link[0] != "#" and not (ROOT / link.partition("#")[0]).exists()] == []


def test_what_make_run_is_said_to_print_is_in_its_source() -> None:
    source = (ROOT / "emulators" / "demo.py").read_text("utf-8")
    (output,) = (block for block in blocks_of("console") if block.startswith("$ make run"))

    for text in (
        "Starting Amplitude, S3, Snowflake (emulators) and a Prefect server …",
        "And again:",
    ):
        assert text in output
        assert text in source
    for text in ("Lake and warehouse reconcile: ", ", nothing to load: lake and ledger agree on "):
        assert text in output
        assert text in texts_of_the_source()


@pytest.fixture
def s3() -> Iterator[S3Emulator]:
    from emulators.s3 import S3Emulator
    from tests.core.lakes import BUCKET

    with S3Emulator(buckets=[BUCKET, "acme-amplitude"]) as emulator:
        yield emulator


def test_the_snippet_reads_current_parts_and_no_superseded_ones(
    s3: S3Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import boto3

    from core.lake.store import Lake
    from tests.core.lakes import Pond, events_of

    (snippet,) = blocks_of("python")
    hour = ExportHour.parse("2025-12-23T19")
    pond = Pond(s3, "amplitude/")
    lake = Lake(s3.client(), bucket="acme-amplitude", prefix="amplitude/")
    superseded = pond.commit(tmp_path, hour, events_of(hour, 0, 2), lake=lake)
    later = superseded.exported_at.replace(minute=45)
    current = pond.commit(tmp_path, hour, events_of(hour, 0, 3), exported_at=later, lake=lake)
    client = s3.client()
    monkeypatch.setattr(boto3, "client", lambda _service: client)

    exec(compile(snippet, "README.md", "exec"), {"__name__": "readme"})

    (part,) = current.parts
    assert part.key != superseded.parts[0].key
    assert capsys.readouterr().out == f"{hour} s3://acme-amplitude/amplitude/{part.key} 3\n"
