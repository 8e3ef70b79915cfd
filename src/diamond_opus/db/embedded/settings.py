"""How the embedded server is tuned: for a small machine, and for less when there is less."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

MEGABYTE = 1024 * 1024

_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the mount that PostgreSQL itself uses

#: Below this a parallel query can run out of the mount; Docker gives 64 MB.
_ENOUGH_SHARED_MEMORY = 256 * MEGABYTE


def default_settings(data: Path) -> dict[str, str]:
    """Server settings by name, fit for the memory and disk that there is now."""
    memory = _memory_limit()
    disk = shutil.disk_usage(data).free
    return {
        "shared_buffers": _megabytes(memory // 8, at_least=32, at_most=1024),
        "effective_cache_size": _megabytes(memory // 2, at_least=64, at_most=4096),
        "maintenance_work_mem": _megabytes(memory // 32, at_least=16, at_most=128),
        "work_mem": "8MB",
        "max_connections": "100",
        "max_wal_size": _megabytes(disk // 4, at_least=256, at_most=4096),
        # The only compression every build has (pglz) doubles the cost of marking a row after a checkpoint: 44
        # against 24 microseconds.
        "wal_compression": "off",
        "synchronous_commit": "on",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        "autovacuum": "on",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_messages": "warning",
        "dynamic_shared_memory_type": _dynamic_shared_memory(),
    }


def as_arguments(settings: Mapping[str, str]) -> list[str]:
    """Settings as the server's command line takes them."""
    return [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]


def _memory_limit() -> int:
    """Bytes of memory this process may use: the machine's, or the container's if that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _MEMORY_LIMITS:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):
            continue  # no such control group, or "max": no limit there
    return min(limits)


def _dynamic_shared_memory() -> str:
    """System V memory is not bound to the mount's size, and PostgreSQL needs a little of it anyway."""
    try:
        stat = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return "sysv"
    return "posix" if stat.f_blocks * stat.f_frsize >= _ENOUGH_SHARED_MEMORY else "sysv"


def _megabytes(size: int, *, at_least: int, at_most: int) -> str:
    return f"{min(at_most, max(at_least, size // MEGABYTE))}MB"
