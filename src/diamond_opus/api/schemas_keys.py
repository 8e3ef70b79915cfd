"""What bodies and answers about API keys look like."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictInt

from diamond_opus.api.schemas import Answer, Body
from diamond_opus.keys.api_keys import LONGEST_NAME
from diamond_opus.keys.permissions import Permission

LONGEST_DAYS = 3_650


class NewApiKey(Body):
    """A key to be made. Without an end it holds until it is revoked."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME, description="Whose key it is.")
    permissions: list[Permission] = Field(
        [Permission.READ], min_length=1, max_length=20, description="`trade` holds `read`, `admin` holds all."
    )
    expires_at: AwareDatetime | None = Field(None, description="When it ends, with its zone.")
    expires_in_days: Annotated[StrictInt, Field(ge=1, le=LONGEST_DAYS)] | None = Field(
        None, description="Or after how many days; name one of the two."
    )


class ApiKey(Answer):
    """A key without the key itself, which nobody can be shown again."""

    id: UUID
    client_name: str
    permissions: list[Permission] = Field(description="Those granted, without what they hold.")
    active: bool = Field(description="false once it is revoked.")
    usable: bool = Field(description="Neither revoked nor expired.")
    created_at: datetime
    last_used_at: datetime | None = Field(description="Exact to the minute.")
    expires_at: datetime | None = Field(description="null when it has no end.")


class CreatedApiKey(ApiKey):
    """A new key. `key` is shown this once and stored nowhere: keep it."""

    key: str = Field(description="What the client sends as X-API-Key.")


class Me(Answer):
    """Who asks."""

    id: str = Field(description="key:ID or hmac:CLIENT, as in the audit log.")
    name: str
    permissions: list[Permission] = Field(description="With what they hold.")
    version: str = Field(description="Of this software.")
