"""Which database a demo may use: what demos made is theirs to reuse or replace, anything else is left alone."""

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum, auto
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import class_row, scalar_row
from psycopg.sql import SQL, Identifier

from diamond_opus.cli.serving import ensure_schema
from diamond_opus.db.pool import connect
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.errors import ConfigurationError

_QUERIES = load_queries("diamond_opus.cli")
_APPLICATION = "diamond demo"


@dataclass(frozen=True, slots=True)
class Memory:
    """What ``demo.json`` remembers: the inventory asked for, and the runs that demos made of it."""

    stones: int
    seed: int
    runs: tuple[str, ...] = ()

    def knows(self, stones: int, seed: int) -> bool:
        return (self.stones, self.seed) == (stones, seed)


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run in the database; ``is_whole``: a full one that completed."""

    run_id: str
    is_whole: bool


class Choice(Enum):
    """What to do with the database that is there."""

    FILL = auto()
    REUSE = auto()
    REPLACE = auto()


class DemoHome:
    """The memory of one DIAMOND_HOME and the database that belongs to it."""

    def __init__(self, folder: Path, url: str, *, is_ours: bool) -> None:
        """``is_ours``: the embedded server, where a demo's database may be dropped."""
        self._path = folder / "demo.json"
        self._key_path = folder / "demo.key"
        self._folder = folder
        self._url = url
        self._is_ours = is_ours

    async def prepare(self, stones: int, seed: int) -> str | None:
        """A migrated database for this inventory; returns the run that filled it already, None to fill it now.

        Raises ConfigurationError when it holds what no demo made.
        """
        await ensure_schema(self._url)
        async with await connect(self._url, application_name=_APPLICATION) as conn:
            async with conn.cursor(row_factory=class_row(KnownRun)) as cursor:
                await cursor.execute(_QUERIES["demo_runs"])
                runs = await cursor.fetchall()
            async with conn.cursor(row_factory=scalar_row) as cursor:
                await cursor.execute(_QUERIES["has_raw_stones"])
                holds_stones = bool(await cursor.fetchone())
        memory = self._read()
        choice = choose(memory, stones, seed, runs, holds_stones=holds_stones)
        if choice is None or (choice is Choice.REPLACE and not self._is_ours):
            raise self._refusal(stones, seed)
        if choice is Choice.REPLACE:
            await self._drop()
            await ensure_schema(self._url)
        if choice is Choice.REPLACE or memory is None or not memory.knows(stones, seed):
            self._write(Memory(stones, seed))
            return None
        return next((run.run_id for run in runs if run.is_whole and run.run_id in memory.runs), None)

    def remember(self, run_id: str) -> None:
        """Note that a demo made this run."""
        memory = self._read()
        if memory is not None and run_id not in memory.runs:
            self._write(replace(memory, runs=(*memory.runs, run_id)))

    def recall_key(self) -> str | None:
        """The key that the last demo showed; whether it still opens anything, the database knows."""
        try:
            return self._key_path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None

    def keep_key(self, key: str) -> None:
        """For the next demo, in a file that only its owner may read, as the database's own are."""
        self._key_path.unlink(missing_ok=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(self._key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key + "\n")

    def _refusal(self, stones: int, seed: int) -> ConfigurationError:
        if not self._is_ours:
            return ConfigurationError(
                f"DATABASE_URL: that database holds other data than a demo of {stones} stones and seed {seed}, and a "
                "demo never drops it; name an empty database, or unset DATABASE_URL"
            )
        return ConfigurationError(
            f"DIAMOND_HOME: {self._folder} holds data that no demo made, which a demo leaves alone; "
            "choose another: DIAMOND_HOME=.diamond-demo diamond demo"
        )

    async def _drop(self) -> None:
        """The database and all that is in it, made anew and empty. Raises ConfigurationError while others use it."""
        name = Identifier(str(conninfo_to_dict(self._url)["dbname"]))
        async with await connect(
            make_conninfo(self._url, dbname="postgres"), application_name=_APPLICATION
        ) as conn:
            try:
                await conn.execute(SQL("DROP DATABASE {}").format(name))
            except psycopg.errors.ObjectInUse as error:
                raise ConfigurationError(
                    f"DIAMOND_HOME: another process uses the demo's database in {self._folder}; stop it first, "
                    "or choose another DIAMOND_HOME"
                ) from error
            await conn.execute(SQL("CREATE DATABASE {}").format(name))

    def _read(self) -> Memory | None:
        """None before the first demo; a damaged memory is none, and then nothing is dropped."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return Memory(int(found["stones"]), int(found["seed"]), tuple(map(str, found["runs"])))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _write(self, memory: Memory) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix(".new")
        aside.write_text(json.dumps(asdict(memory)) + "\n", encoding="utf-8")
        aside.replace(self._path)


def choose(
    memory: Memory | None, stones: int, seed: int, runs: Sequence[KnownRun], *, holds_stones: bool
) -> Choice | None:
    """What a demo may do with a database that has these runs; None: nothing, for others made what is in it.

    Runs that no demo made are harmless beside the very inventory asked for, but then nothing is ever dropped.
    """
    if not runs and not holds_stones:
        return Choice.FILL
    if memory is None or not _made_any(memory.runs, runs):
        return None
    if memory.knows(stones, seed):
        return Choice.REUSE
    return Choice.REPLACE if all(run.run_id in memory.runs for run in runs) else None


def _made_any(known: Collection[str], runs: Sequence[KnownRun]) -> bool:
    return any(run.run_id in known for run in runs)
