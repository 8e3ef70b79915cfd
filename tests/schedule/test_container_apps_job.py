"""The scheduler's job is started with all that is deployed with it, and a refusal says what to put right."""

import pytest

from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.schedule.container_apps_job import with_command

container_apps = pytest.importorskip("container_apps")

TEMPLATE = container_apps.TEMPLATE
COMMAND = ["diamond", "schedule", "--feed", "nivoda", "--run-id", "r1"]


async def test_a_start_brings_back_the_whole_template_with_another_command() -> None:
    azure = container_apps.Azure()
    async with container_apps.open_job(azure, container_apps.Identity()) as job:
        assert await job.start(COMMAND) == "e1"

    [started] = azure.started
    assert started["initContainers"] == TEMPLATE["initContainers"]
    assert started["containers"][0] == TEMPLATE["containers"][0]
    assert started["containers"][1] == {**TEMPLATE["containers"][1], "command": COMMAND, "args": []}
    assert azure.tokens == {"Bearer t1"}


async def test_a_look_at_the_job_starts_nothing() -> None:
    azure = container_apps.Azure()
    async with container_apps.open_job(azure, container_apps.Identity()) as job:
        assert await job.read_image() == "registry/diamond-scheduler@sha256:2"
    assert azure.started == []


def test_a_template_with_one_container_of_any_name_is_taken() -> None:
    changed = with_command({"containers": [{"name": "main", "image": "i"}]}, COMMAND)

    assert changed == {"containers": [{"name": "main", "image": "i", "command": COMMAND, "args": []}]}


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (403, Fatal, "answered 403: not like that; the identity of this process needs a role"),
        (404, Fatal, "check AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP and AZURE_SCHEDULER_JOB_NAME"),
        (429, Retryable, "answered 429"),
        (503, Retryable, "answered 503"),
    ],
)
async def test_a_refusal_says_what_to_put_right(status: int, kind: type[Exception], told: str) -> None:
    azure = container_apps.Azure()
    azure.status = status
    async with container_apps.open_job(azure, container_apps.Identity()) as job:
        with pytest.raises(kind, match=rf"^job diamond-prod-scheduler: .*{told}"):
            await job.start(COMMAND)
    assert azure.started == []


async def test_a_process_without_an_identity_is_told_so() -> None:
    identity = container_apps.Identity()
    identity.is_known = False
    async with container_apps.open_job(container_apps.Azure(), identity) as job:
        with pytest.raises(Retryable, match=r"gives this process no token.*AZURE_CLIENT_ID"):
            await job.start(COMMAND)
