"""uv in a small environment of its own: it resolves the locks, and nothing else ever needs it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from scripts.locks import MACOS

UV = "uv==0.13.9"
ROOT = Path(__file__).resolve().parent.parent
_HOME = ROOT / ".lock-venv"


def run_uv(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the pinned uv, which is installed first if it is not there. Its output is captured.

    Args:
        arguments: The command and its options.
        given: What it reads from its input, if anything.
    """
    mark = _HOME / UV
    if not mark.exists():
        venv.create(_HOME, clear=True, with_pip=True)
        pip = [str(_HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", UV]
        subprocess.run(pip, check=True, cwd=ROOT)
        mark.touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    return subprocess.run(
        [str(_HOME / "bin" / "uv"), "--no-config", *arguments, "--python", sys.executable],
        cwd=ROOT,
        env=environment | {"MACOSX_DEPLOYMENT_TARGET": MACOS},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
