"""Starts the Container Apps job that plans runs, with another command and all the rest as it is deployed.

A start may bring a template, and what that leaves out is then gone: the environment, the secrets, the image. So the
deployed one is read, and sent back with the one thing changed.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from diamond_opus.domain.errors import Fatal, Retryable

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

MANAGEMENT_URL = "https://management.azure.com"
API_VERSION = "2024-03-01"
TIMEOUT_SECONDS = 30.0

#: What a start may bring; a job's own template has volumes besides, which stay as they are.
_STARTED_WITH = ("containers", "initContainers")

#: What `diamond` is called in the job's template.
CONTAINER = "scheduler"


class ContainerAppsJob:
    """Errors: Retryable when Azure is out of reach or busy, Fatal when the job is missing or closed to us."""

    def __init__(
        self, session: aiohttp.ClientSession, credential: "AsyncTokenCredential", url: str, name: str
    ) -> None:
        self._session = session
        self._credential = credential
        self._url = url
        self._name = name

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        subscription: str,
        resource_group: str,
        name: str,
        credential: "AsyncTokenCredential",
        management_url: str = MANAGEMENT_URL,
    ) -> AsyncIterator["ContainerAppsJob"]:
        url = (
            f"{management_url}/subscriptions/{subscription}/resourceGroups/{resource_group}"
            f"/providers/Microsoft.App/jobs/{name}"
        )
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield cls(session, credential, url, name)

    async def start(self, command: Sequence[str]) -> str:
        """Run ``command`` in the job's container once; returns the execution's name, if Azure tells one."""
        job = await self._ask("GET", self._url)
        template = with_command(job["properties"]["template"], command)
        started = await self._ask("POST", f"{self._url}/start", template)
        return str(started.get("name", ""))

    async def read_image(self) -> str:
        """What the job runs: asked by those who only want to know whether it is there."""
        containers = (await self._ask("GET", self._url))["properties"]["template"]["containers"]
        return str(_scheduler_of(containers)["image"])

    async def _ask(self, method: str, url: str, body: object = None) -> Any:
        from azure.core.exceptions import AzureError, ClientAuthenticationError

        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                token = await self._credential.get_token(f"{MANAGEMENT_URL}/.default")
            async with self._session.request(
                method,
                url,
                params={"api-version": API_VERSION},
                headers={"Authorization": f"Bearer {token.token}", "Content-Type": "application/json"},
                data=None if body is None else orjson.dumps(body),
            ) as response:
                content = await response.read()
        except ClientAuthenticationError as error:
            raise Retryable(
                f"job {self._name}: Azure gives this process no token; it needs a managed identity"
                f" (AZURE_CLIENT_ID): {str(error).partition(chr(10))[0]}"
            ) from error
        except (aiohttp.ClientError, AzureError, TimeoutError) as error:
            raise Retryable(
                f"job {self._name}: Azure is out of reach: {str(error) or type(error).__name__}"
            ) from error
        if response.ok:
            return orjson.loads(content) if content else {}
        raise _refusal(self._name, response.status, content)


def with_command(template: Any, command: Sequence[str]) -> Any:
    """``template`` with the scheduler's command replaced, everything else kept."""
    changed = {part: deepcopy(template[part]) for part in _STARTED_WITH if template.get(part) is not None}
    scheduler = _scheduler_of(changed["containers"])
    scheduler["command"] = list(command)
    scheduler["args"] = []
    return changed


def _scheduler_of(containers: Any) -> Any:
    return next((each for each in containers if each["name"] == CONTAINER), containers[0])


def _refusal(name: str, status: int, content: bytes) -> Fatal | Retryable:
    told = f"job {name}: Azure answered {status}: {_reason(content)}"
    if status in (408, 409, 429) or status >= 500:
        return Retryable(told)
    if status in (401, 403):
        return Fatal(f"{told}; the identity of this process needs a role that may read and start the job")
    return Fatal(f"{told}; check AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP and AZURE_SCHEDULER_JOB_NAME")


def _reason(content: bytes) -> str:
    try:
        return str(orjson.loads(content)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return content[:200].decode("utf-8", "replace")
