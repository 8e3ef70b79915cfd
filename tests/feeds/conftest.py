"""What every test of the client may ask for: a supplier that answers as it is told, over real HTTP."""

from collections.abc import AsyncIterator

import pytest
from scripted_server import ScriptedSupplier


@pytest.fixture
async def supplier() -> AsyncIterator[ScriptedSupplier]:
    async with ScriptedSupplier() as running:
        yield running
