"""A watermark within one process, for tests."""

from dataclasses import replace

from diamond_opus.watermark.protocol import Watermark, WatermarkConflict


class MemoryWatermarkStore:
    """Gone when the process is; versions are counted."""

    def __init__(self) -> None:
        self._watermarks: dict[str, Watermark] = {}

    async def read(self, feed: str) -> Watermark | None:
        return self._watermarks.get(feed)

    async def write(self, feed: str, watermark: Watermark, *, expected_version: str | None) -> Watermark:
        present = self._watermarks.get(feed)
        version = present.version if present else None
        if version != expected_version:
            raise WatermarkConflict(
                f"watermark of {feed}: version is {version}, not {expected_version}; read it again"
            )
        stored = replace(watermark, version=str(int(version or "0") + 1))
        self._watermarks[feed] = stored
        return stored
