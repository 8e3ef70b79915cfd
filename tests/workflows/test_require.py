"""What is missing is named all at once."""

import subprocess
import sys
from pathlib import Path

from require import problems

SCRIPT = Path(__file__).parents[2] / ".github" / "scripts" / "require.py"
GUID = "01234567-89ab-cdef-0123-456789abcdef"


def test_everything_that_is_missing_is_named_at_once() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "IMAGE_REGISTRY"],
        env={"AZURE_TENANT_ID": GUID, "IMAGE_REGISTRY": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert [line.split("::")[2].split(".")[0] for line in done.stdout.splitlines()] == [
        "AZURE_CLIENT_ID is missing",
        "IMAGE_REGISTRY is missing",
    ]


def test_what_is_there_passes() -> None:
    for registry in ("diamondstagingacr.azurecr.io", "ghcr.io/somebody"):
        values = {
            "AZURE_CLIENT_ID": GUID,
            "IMAGE_REGISTRY": registry,
            "DEPLOYMENT_NAME": "diamond",
            "OTHER": "x",
        }
        assert list(problems(list(values), values)) == []


def test_what_cannot_be_right_is_named_without_its_value() -> None:
    values = {
        "AZURE_CLIENT_ID": "hunter2",
        "IMAGE_REGISTRY": "https://hunter2.azurecr.io/",
        "DEPLOYMENT_NAME": "hunter2-opus",
    }
    found = list(problems(list(values), values))
    assert [line.split()[0] for line in found] == list(values)
    assert "hunter2" not in " ".join(found)
