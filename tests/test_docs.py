"""What the documents say about files, commands and codes is so; and nothing tells where the project was built."""

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from diamond_opus.api.errors import ErrorCode
from diamond_opus.cli.app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

#: Hosts of package registries, and the folders in which a checkout usually lies.
_TELLTALES = re.compile(
    r"py(?:pi|thonhosted)[.]org|npm(?:js[.]org|mirror[.]com)|(?<![\w.@-])/(?:home|Users|root|work|farm)/"
)


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one of its level."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def cells(text: str, column: int) -> list[str]:
    """One column of the table in ``text``, from 1, without its head."""
    return [line.split("|")[column] for line in text.splitlines() if line.startswith("| ")][1:]


def code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def commands(group: TyperGroup, *above: str) -> Iterator[str]:
    """Every command of the program, in full."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *above, name)
        else:
            yield " ".join(("diamond", *above, name))


def text_files() -> Iterator[tuple[Path, str]]:
    """Every file of the project that git would not ignore, but those that are no text."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    hidden_and_ours = {".ci", ".github"}

    def is_ours(name: str) -> bool:
        return not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)

    for folder, folders, files in os.walk(ROOT):
        folders[:] = [
            name for name in folders if is_ours(name) and (name[0] != "." or name in hidden_and_ours)
        ]
        for path in (Path(folder, name) for name in files if is_ours(name)):
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def relative_links(document: Path) -> Sequence[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    return [target.partition("#")[0] for target in targets if "://" not in target]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    missing = [link for link in relative_links(document) if not (document.parent / link).exists()]
    assert missing == []


def test_every_file_that_the_architecture_names_exists() -> None:
    table = section(ARCHITECTURE, "Where each decision lives")
    named = [path for cell in cells(table, 2) for path in code(cell)]
    assert len(named) > 30
    assert [path for path in named if not (ROOT / "src" / "diamond_opus" / path).is_file()] == []


def test_the_architecture_draws_the_states_as_the_code_does() -> None:
    model = (ROOT / "src/diamond_opus/runs/model.py").read_text(encoding="utf-8")
    drawings = re.findall(r"::\n\n((?:    .*\n|\n)+)", model.split('"""')[1])
    assert len(drawings) == 2
    for drawing in drawings:
        assert "\n".join(line.removeprefix("    ") for line in drawing.rstrip().splitlines()) in ARCHITECTURE


def test_the_readme_lists_exactly_the_commands_that_there_are() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    listed = [name for cell in cells(section(README, "The commands"), 1) for name in code(cell)]
    assert sorted(listed) == sorted(commands(group))


def test_the_readme_shows_two_commands_for_a_newcomer() -> None:
    shown = [
        line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()
    ]
    assert [line for line in shown if line.startswith("uv ")] == [
        "uv run diamond demo",
        "uv run --group test pytest",
    ]


def test_the_list_of_errors_has_every_code_of_the_api() -> None:
    errors = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = [name for cell in cells(section(errors, "Errors of the API"), 1) for name in code(cell)]
    assert sorted(listed) == sorted(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_a_section_where_the_hints_lead(code: ErrorCode) -> None:
    errors = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    explained = section(errors, "Errors of the API").split(f"\n### {code}\n", 1)[1].split("\n### ", 1)[0]
    assert len(explained.split()) > 10


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_no_file_names_a_package_registry_or_a_folder_of_the_machine_it_was_written_on() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in text_files()
        for match in _TELLTALES.finditer(text)
    ]
    assert found == []
