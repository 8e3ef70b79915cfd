"""The watermark as a blob for each feed, ``<feed>.json``, in the container ``watermarks``: SPEC's place and form."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobClient, ContainerClient

from diamond_opus.domain.errors import Fatal
from diamond_opus.watermark.document import decode, encode
from diamond_opus.watermark.protocol import Watermark, WatermarkConflict, WatermarkUnavailable

CONTAINER = "watermarks"
TIMEOUT_SECONDS = 20.0

_JSON = ContentSettings(content_type="application/json")
_NO_VERSION = '"none"'  # the SDK takes an empty one for none at all; no blob has this one


class BlobWatermarkStore:
    """The version is the blob's ETag.

    Errors: InvalidWatermark for a blob that cannot be read, Fatal when the container is missing, WatermarkUnavailable
    when the storage is out of reach or refuses us.
    """

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def read(self, feed: str) -> Watermark | None:
        blob = self._blob(feed)
        async with _told(blob):
            try:
                download = await blob.download_blob()
            except ResourceNotFoundError as error:
                if getattr(error, "error_code", None) == "ContainerNotFound":
                    raise
                return None
            content = await download.readall()
        return decode(content, where=_where(blob), version=download.properties.etag)

    async def write(self, feed: str, watermark: Watermark, *, expected_version: str | None) -> Watermark:
        """The SDK repeats a write whose answer was lost, and is then told a conflict: whoever reads again sees why."""
        blob = self._blob(feed)
        async with _told(blob):
            try:
                if expected_version is None:
                    written = await blob.upload_blob(
                        encode(watermark), overwrite=False, content_settings=_JSON
                    )
                else:
                    written = await blob.upload_blob(
                        encode(watermark),
                        overwrite=True,
                        etag=expected_version or _NO_VERSION,
                        match_condition=MatchConditions.IfNotModified,
                        content_settings=_JSON,
                    )
            except (ResourceExistsError, ResourceModifiedError) as error:
                raise WatermarkConflict(
                    f"watermark of {feed}: version is no longer {expected_version}; read it again"
                ) from error
        return replace(watermark, version=written["etag"])

    def _blob(self, feed: str) -> BlobClient:
        return self._container.get_blob_client(f"{feed}.json")


@asynccontextmanager
async def _told(blob: BlobClient) -> AsyncIterator[None]:
    """The SDK's errors as what a caller does next; none takes longer than ``TIMEOUT_SECONDS``."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            yield
    except HttpResponseError as error:
        if error.status_code in (401, 403):
            # Not for good: roles take minutes to be known everywhere, and a key may just have been rotated.
            raise WatermarkUnavailable(
                f"{_where(blob)}: the blob storage refuses this process; check its connection string, or that its"
                f" identity has the role Storage Blob Data Contributor: {_first_line(error)}"
            ) from error
        if error.status_code is None or error.status_code in (408, 429) or error.status_code >= 500:
            raise WatermarkUnavailable(
                f"{_where(blob)}: the blob storage serves nobody now: {_first_line(error)}"
            ) from error
        raise Fatal(f"{_where(blob)}: the blob storage refuses: {_first_line(error)}") from error
    except (AzureError, OSError) as error:
        raise WatermarkUnavailable(
            f"{_where(blob)}: the blob storage is out of reach: {_first_line(error)}"
        ) from error


def _where(blob: BlobClient) -> str:
    return f"{blob.container_name}/{blob.blob_name}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
