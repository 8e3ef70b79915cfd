"""A blob that is missing, damaged, of a newer release, closed to us or out of reach: told as what to do next."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from diamond_opus.domain.errors import Fatal
from diamond_opus.watermark.document import InvalidWatermark
from diamond_opus.watermark.protocol import Watermark, WatermarkUnavailable

blob_storage = pytest.importorskip("blob_storage")

from azure.storage.blob.aio import ContainerClient  # noqa: E402 - only with the extra azure

from diamond_opus.watermark.blob import BlobWatermarkStore  # noqa: E402

PLANNED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FIRST = Watermark(PLANNED, "r1", None)


@pytest.fixture
async def container(azurite: str) -> AsyncIterator[ContainerClient]:
    async with blob_storage.open_container(azurite) as opened:
        yield opened


async def test_the_blob_is_the_documented_json_under_the_documented_name(container: ContainerClient) -> None:
    await BlobWatermarkStore(container).write("nivoda", FIRST, expected_version=None)

    blob = container.get_blob_client("nivoda.json")
    assert await (await blob.download_blob()).readall() == (
        b'{"lastUpdatedAt":"2026-01-02T03:04:05.000Z","lastRunId":"r1","lastRunCompletedAt":null}'
    )
    assert (await blob.get_blob_properties()).content_settings.content_type == "application/json"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"lastUpdatedAt": "yesterday"}'])
async def test_a_damaged_blob_is_told_with_its_place_and_not_taken_for_none(
    container: ContainerClient, content: bytes
) -> None:
    await container.upload_blob("nivoda.json", content)

    with pytest.raises(InvalidWatermark, match=r"^watermarks/nivoda\.json: "):
        await BlobWatermarkStore(container).read("nivoda")


async def test_a_blob_that_a_newer_release_wrote_is_read(container: ContainerClient) -> None:
    await container.upload_blob(
        "nivoda.json", b'{"lastUpdatedAt": "2026-01-02T03:04:05Z", "schemaVersion": 2, "lastRunId": "r1"}'
    )

    read = await BlobWatermarkStore(container).read("nivoda")

    assert read is not None
    assert (read.last_updated_at, read.last_run_id) == (PLANNED, "r1")


async def test_a_blob_that_was_deleted_since_it_was_read_is_a_conflict_for_whoever_replaces_it(
    container: ContainerClient,
) -> None:
    store = BlobWatermarkStore(container)
    first = await store.write("nivoda", FIRST, expected_version=None)
    await container.delete_blob("nivoda.json")

    with pytest.raises(Exception, match="version is no longer"):
        await store.write("nivoda", FIRST, expected_version=first.version)


async def test_a_missing_container_is_no_missing_watermark(azurite: str) -> None:
    """Without a watermark everything is read: that must never be the answer to a wrong name."""
    async with ContainerClient.from_connection_string(azurite, "nowhere", retry_total=0) as nowhere:
        store = BlobWatermarkStore(nowhere)
        with pytest.raises(Fatal, match=r"^nowhere/nivoda\.json: the blob storage refuses: .*container"):
            await store.read("nivoda")
        with pytest.raises(Fatal, match=r"^nowhere/nivoda\.json"):
            await store.write("nivoda", FIRST, expected_version=None)


async def test_a_refusal_is_waited_out_and_says_what_to_check(
    azurite: str, container: ContainerClient
) -> None:
    wrong = azurite.replace(blob_storage.KEY, "d3Jvbmc=")
    async with ContainerClient.from_connection_string(wrong, "watermarks", retry_total=0) as closed:
        with pytest.raises(WatermarkUnavailable, match="refuses this process; check its connection string"):
            await BlobWatermarkStore(closed).read("nivoda")


async def test_a_storage_out_of_reach_is_worth_another_try() -> None:
    nobody: Any = blob_storage.connection_string(1)
    async with ContainerClient.from_connection_string(nobody, "watermarks", retry_total=0) as away:
        with pytest.raises(
            WatermarkUnavailable, match=r"^watermarks/nivoda\.json: the blob storage is out of reach"
        ):
            await BlobWatermarkStore(away).read("nivoda")
