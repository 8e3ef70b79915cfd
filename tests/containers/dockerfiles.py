"""What stands in our Dockerfiles and in .dockerignore, read as Docker reads it; only what ours use."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = ("api", "scheduler", "worker", "consolidator", "dashboard")
_OWN = re.compile(r"^# --- This image's own -+\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continued lines joined: ``COPY --from=wheel /build/wheels wheels``."""

    keyword: str
    flags: Mapping[str, str]
    rest: str

    @property
    def words(self) -> Sequence[str]:
        """Of a COPY the sources and the target; of a CMD in exec form the arguments."""
        if self.rest.startswith("["):
            return [str(word) for word in json.loads(self.rest)]
        return self.rest.split()

    @property
    def pairs(self) -> Mapping[str, str]:
        """The names and values of an ENV, a LABEL or an ARG."""
        found = re.findall(r'([\w.]+)=("[^"]*"|\S*)', self.rest)
        return {name: value.strip('"') for name, value in found}


@dataclass(slots=True)
class Stage:
    """What follows one FROM. ``base`` is an image, or an earlier stage."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, keyword: str) -> Sequence[Instruction]:
        return [instruction for instruction in self.instructions if instruction.keyword == keyword]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    text: str
    stages: Sequence[Stage]

    @property
    def common(self) -> str:
        """The part that all share; the comment that heads the file is each one's own."""
        return _OWN.split(self.text)[0].split("\n\n", 1)[1]

    @property
    def final(self) -> Stage:
        return self.stages[-1]

    def lineage(self, stage: Stage) -> Sequence[Stage]:
        """The stages that ``stage`` is built on, the oldest first, and itself."""
        named = {each.name: each for each in self.stages if each.name}
        below = self.lineage(named[stage.base]) if stage.base in named else ()
        return (*below, stage)

    @property
    def environment(self) -> Mapping[str, str]:
        """What every ENV sets that holds in the finished image."""
        found: dict[str, str] = {}
        for stage in self.lineage(self.final):
            for instruction in stage.all("ENV"):
                found.update(instruction.pairs)
        return found

    def last(self, keyword: str) -> Instruction:
        """The one that holds in the finished image."""
        return [each for stage in self.lineage(self.final) for each in stage.all(keyword)][-1]


def read_dockerfile(name: str) -> Dockerfile:
    text = (ROOT / "docker" / f"Dockerfile.{name}").read_text(encoding="utf-8")
    stages: list[Stage] = []
    for instruction in _instructions(text):
        if instruction.keyword == "FROM":
            base, _, name = instruction.rest.partition(" AS ")
            stages.append(Stage(base, name))
        else:
            stages[-1].instructions.append(instruction)
    return Dockerfile(text, stages)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        keyword, _, rest = line.strip().partition(" ")
        flags: dict[str, str] = {}
        while (
            match := re.match(r"\s*--([a-z-]+)=(\S+)\s+", rest)
            if keyword in ("COPY", "HEALTHCHECK")
            else None
        ):
            flags[match[1]] = match[2]
            rest = rest[match.end() :]
        yield Instruction(keyword, flags, " ".join(rest.split()) if keyword != "RUN" else rest.strip())


class Context:
    """The files that a build is sent: the project's, without those that .dockerignore leaves out."""

    def __init__(self, root: Path = ROOT, ignored: str | None = None) -> None:
        self.root = root
        text = (root / ".dockerignore").read_text(encoding="utf-8") if ignored is None else ignored
        lines = [line.strip() for line in text.splitlines()]
        patterns = [line for line in lines if line and not line.startswith("#")]
        self._rules = [(_regex(pattern.lstrip("!")), pattern.startswith("!")) for pattern in patterns]

    def holds(self, path: str) -> bool:
        """Whether ``path``, relative to the root, is sent: the last rule that it or a folder above it matches."""
        parts = path.split("/")
        above = ["/".join(parts[: length + 1]) for length in range(len(parts))]
        sent = True
        for rule, sends in self._rules:
            if any(rule.fullmatch(each) for each in above):
                sent = sends
        return sent

    def files(self, source: str) -> Iterator[str]:
        """Every file below ``source`` that is sent; ``source`` itself, if it is one."""
        start = self.root / source
        for path in (start, *sorted(start.rglob("*"))):
            name = path.relative_to(self.root).as_posix()
            if path.is_file() and self.holds(name):
                yield name


def _regex(pattern: str) -> re.Pattern[str]:
    """Docker's patterns: ``*`` within a name, ``**/`` over any number of folders.

    >>> bool(_regex("**/.env*").fullmatch("src/.env.local")), bool(_regex("*").fullmatch("a/b"))
    (True, False)
    """
    pieces = re.split(r"(\*\*/|\*)", pattern.strip("/"))
    translated = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return re.compile("".join(translated.get(piece) or re.escape(piece) for piece in pieces))
