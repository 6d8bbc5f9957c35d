"""Dockerfile and compose.yaml read, and carried out without an engine.

A stage of the Dockerfile becomes a folder that processes take for their root: of this machine it
shows the system (/usr, /lib, /etc), read-only, and this Python in /usr/local, where the base image
has its own. RUN gets the very command of the Dockerfile. What a container is then started with (a
user, a read-only root, a writable volume, no capabilities) is given by the kernel, as an engine does.

Linux only, as root: mounts and chroot, in a mount namespace of each command's own.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc")
_BASE = {
    "PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LD_LIBRARY_PATH": "/usr/local/lib",  # the base image's loader knows this folder by itself
}

#: How this machine reaches its package index; nothing else of its environment gets in.
_NETWORK = re.compile(r"PIP_(CERT|INDEX_URL|DEFAULT_TIMEOUT)|SSL_CERT_FILE|(https?|no)_proxy", re.IGNORECASE)

_MOUNTS = """
set -e
root=$1; python=$2; shift 2
mount --bind "$root" "$root"
for name in {system}; do
    if [ -d "$root/$name" ] && [ ! -L "$root/$name" ]; then
        mount --rbind "/$name" "$root/$name"
        mount -o remount,bind,ro "$root/$name"
    fi
done
mount --bind "$python" "$root/usr/local"
mount -o remount,bind,ro "$root/usr/local"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
{readonly}
chroot "$root" /usr/bin/env -i "$@"
exit 0
"""
_READ_ONLY = """
mount --bind "{scratch}" "$root{volume}"
mount -o remount,bind,ro "$root"
"""


@dataclass(frozen=True)
class Instruction:
    """One of a Dockerfile, its continued lines joined."""

    word: str
    rest: str


def instructions_of(dockerfile: str) -> list[Instruction]:
    """A Dockerfile's instructions, in order; comments are left out, between continued lines as well."""
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = (line.split(maxsplit=1) for line in joined.splitlines())
    return [Instruction(word.upper(), rest.strip()) for word, rest in found]


def is_ignored(path: str, dockerignore: str) -> bool:
    """Whether a file stays out of the build context. The last pattern that fits decides."""
    ignored = False
    names = [str(one) for one in (PurePosixPath(path), *PurePosixPath(path).parents)][:-1]
    for line in map(str.strip, dockerignore.splitlines()):
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").rstrip("/")
            tails = [name.split("/")[-1] if pattern.startswith("**/") else name for name in names]
            if any(fnmatch.fnmatchcase(tail, pattern.removeprefix("**/")) for tail in tails):
                ignored = not line.startswith("!")
    return ignored


@dataclass
class Stage:
    """What a stage of the Dockerfile has become: a root, and how commands are started in it."""

    root: Path
    environment: dict[str, str]
    workdir: str = "/"
    user: str = "0:0"
    volume: str = ""
    scratch: Path | None = None

    def with_volume(self, folder: Path) -> Stage:
        """The same image with a new volume, as an engine makes it: empty, and the image's user's."""
        folder.mkdir(mode=0o700)
        user, group = map(int, self.user.split(":"))
        os.chown(folder, user, group)
        return replace(self, scratch=folder)

    def command(
        self, arguments: Sequence[str], environment: Mapping[str, str] | None = None, *, locked: bool = True
    ) -> list[str]:
        """The command line that runs these arguments in the stage; all its processes end with it.

        Args:
            arguments: Program and arguments, looked for on the stage's PATH.
            environment: Variables beyond the stage's own.
            locked: As a container with a read-only root, of which only the volume can be written, as
                the stage's user and without capabilities. Otherwise as root, to build.
        """
        user, _, group = self.user.partition(":")
        drop = (
            ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs",
             "--bounding-set=-all", "--inh-caps=-all"]
            if locked
            else []
        )  # fmt: skip
        variables = [f"{name}={value}" for name, value in {**self.environment, **(environment or {})}.items()]
        scratch = self.scratch or self.root / self.volume.lstrip("/")
        readonly = _READ_ONLY.format(scratch=scratch, volume=self.volume) if locked else ""
        mounts = _MOUNTS.format(system=" ".join(_SYSTEM), readonly=readonly)
        return [
            "unshare", "--mount", "--pid", "--fork", "--kill-child",
            "sh", "-c", mounts, "sh", str(self.root), sys.base_prefix,
            f"--chdir={self.workdir}", *variables, *drop, *arguments,
        ]  # fmt: skip

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str] | None = None, *, locked: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, its output and errors together."""
        command = self.command(arguments, environment, locked=locked)
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )


@dataclass
class Builder:
    """Carries out a Dockerfile, instruction by instruction. One that is not known here is an error.

    Args:
        context: The build context.
        folder: Where the stages are made.
    """

    context: Path
    folder: Path
    arguments: dict[str, str] = field(default_factory=dict)
    stages: dict[str, Stage] = field(default_factory=dict)

    def build(self, dockerfile: str) -> Stage:
        """The last stage."""
        stage: Stage | None = None
        for one in instructions_of(dockerfile):
            if one.word == "ARG":
                name, _, default = one.rest.partition("=")
                self.arguments[name] = default
            elif one.word == "FROM":
                stage = self._begin(one.rest.split())
            elif stage is None:
                msg = f"{one.word} stands before FROM"
                raise ValueError(msg)
            else:
                self._carry_out(one, stage)
        if stage is None:
            msg = "The Dockerfile has no FROM"
            raise ValueError(msg)
        return stage

    def _begin(self, words: list[str]) -> Stage:
        base = re.sub(r"\$\{(\w+)\}", lambda match: self.arguments[match[1]], words[0])
        if not base.startswith("python:"):
            msg = f"{base} is no image of Python, which is what this machine stands in for"
            raise ValueError(msg)
        root = self.folder / f"stage-{len(self.stages)}"
        for name in ("proc", "dev", "tmp"):
            (root / name).mkdir(parents=True)
        (root / "tmp").chmod(0o1777)
        for name in _SYSTEM:
            source = Path("/", name)
            if source.is_symlink():
                (root / name).symlink_to(source.readlink())
            elif source.is_dir():
                (root / name).mkdir()
        stage = Stage(root, dict(_BASE))
        self.stages[words[2] if len(words) > 1 else str(len(self.stages))] = stage
        return stage

    def _carry_out(self, one: Instruction, stage: Stage) -> None:
        if one.word == "ENV":
            for pair in shlex.split(one.rest):
                name, _, value = pair.partition("=")
                stage.environment[name] = value.replace("$PATH", stage.environment["PATH"])
        elif one.word == "WORKDIR":
            stage.workdir = one.rest
            (stage.root / one.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif one.word == "COPY":
            self._copy(shlex.split(one.rest), stage)
        elif one.word == "RUN":
            network = {name: value for name, value in os.environ.items() if _NETWORK.fullmatch(name)}
            done = stage.run(["sh", "-c", one.rest], network, locked=False)
            if done.returncode:
                msg = f"RUN {one.rest}\nended with {done.returncode}:\n{done.stdout[-4000:]}"
                raise RuntimeError(msg)
        elif one.word == "USER":
            stage.user = one.rest
        elif one.word == "VOLUME":
            stage.volume = one.rest
        elif one.word != "CMD":
            msg = f"{one.word} is not rehearsed: teach {__name__} what it does"
            raise ValueError(msg)

    def _copy(self, words: list[str], stage: Stage) -> None:
        *options, source, target = words
        into = stage.root / PurePosixPath(stage.workdir, target).as_posix().lstrip("/")
        if options:
            (stage_name,) = (option.removeprefix("--from=") for option in options)
            shutil.copytree(self.stages[stage_name].root / source.lstrip("/"), into, symlinks=True)
            return
        for path in sorted(self._sent(source)):
            to = into / path.name if target == "." else into / path.relative_to(self.context / source)
            to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(path, to)
            to.chmod(0o600)  # the worst that a checkout can be, and a build takes it as it is

    def _sent(self, source: str) -> Iterator[Path]:
        """What the engine would be sent of a file or folder of the context."""
        patterns = (self.context / ".dockerignore").read_text("utf-8")
        top = self.context / source
        for path in [top] if top.is_file() else top.rglob("*"):
            if path.is_file() and not is_ignored(path.relative_to(self.context).as_posix(), patterns):
                yield path


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}`` replaced, as Compose does it.

    Raises:
        KeyError: A variable that must be set is not, or is empty.
    """

    def put_in(match: re.Match[str]) -> str:
        name, how, rest = match["name"], match["how"], match["rest"] or ""
        value = variables.get(name, "")
        if value or how != ":?":
            return value or (interpolated(rest, variables) if how else "")
        raise KeyError(name, rest)

    nested = r"(?:[^{}]|\$\{[^{}]*\})*"
    return re.sub(rf"\$\{{(?P<name>\w+)(?:(?P<how>:[-?])(?P<rest>{nested}))?\}}", put_in, text)


def composed(text: str, variables: Mapping[str, str] | None = None) -> Any:
    """A compose file's content; with variables, those are put in wherever a string asks for them."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [filled(one) for one in value]
        return interpolated(value, variables or {}) if isinstance(value, str) else value

    content = yaml.safe_load(text)
    return content if variables is None else filled(content)
