"""What every test of the client may ask for: a supplier that answers as it is told, over real HTTP."""

from collections.abc import AsyncIterator

import pytest
from feed_builders import PASSWORD
from scripted_server import ScriptedSupplier

from log_secrets import SECRETS

SECRETS.know(PASSWORD)


@pytest.fixture
async def supplier() -> AsyncIterator[ScriptedSupplier]:
    async with ScriptedSupplier() as running:
        yield running
