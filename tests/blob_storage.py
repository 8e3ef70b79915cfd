"""Azurite, a blob store that speaks Azure's protocol, on loopback and in memory.

Needs the extra ``azure`` and ``npm --prefix tests/azurite ci``; a test that finds them missing is skipped.
"""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("azure.storage.blob", reason="the extra azure is not installed")

from azure.core.exceptions import AzureError
from azure.storage.blob.aio import ContainerClient

from diamond_opus.watermark.blob import CONTAINER, BlobWatermarkStore
from free_ports import take_port

PROGRAM = Path(__file__).parent / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"

#: Azurite's own, the same in every installation and printed in its documentation.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def connection_string(port: int) -> str:
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"


@contextmanager
def run_azurite() -> Iterator[str]:
    """Its connection string, while it runs."""
    node = shutil.which("node")
    if node is None or not PROGRAM.exists():
        pytest.skip("Azurite is not installed: npm --prefix tests/azurite ci")
    port = take_port()
    flags = ("--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry")
    process = subprocess.Popen(
        [node, str(PROGRAM), "--blobHost", "127.0.0.1", "--blobPort", str(port), *flags],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield connection_string(port)
    finally:
        process.terminate()
        process.wait(10)


@asynccontextmanager
async def open_container(connection: str, name: str = CONTAINER) -> AsyncIterator[ContainerClient]:
    """An empty container, as soon as the server answers."""
    async with ContainerClient.from_connection_string(connection, name, retry_total=0) as container:
        for _ in range(200):
            try:
                await container.create_container()
            except AzureError:
                await asyncio.sleep(0.05)
            else:
                break
        yield container
        await container.delete_container()


@asynccontextmanager
async def open_store(connection: str) -> AsyncIterator[BlobWatermarkStore]:
    async with open_container(connection) as container:
        yield BlobWatermarkStore(container)
