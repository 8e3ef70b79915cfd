"""Values in bodies that are read as strictly as those of a query string."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from diamond_opus.catalog.parameters import Moment as MomentKind
from diamond_opus.catalog.parameters import Text

#: Nothing here happened before; it also keeps a moment's arithmetic within what there is.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def _read_moment(given: Any) -> datetime:
    if not isinstance(given, str):
        raise ValueError("must be a time as text, such as 2026-01-31T18:00:00Z")
    moment = MomentKind().read(given)
    if moment < _EARLIEST:
        raise ValueError("must not be before 1970")
    return moment


#: A point in time in ISO 8601 that names its zone.
Moment = Annotated[AwareDatetime, BeforeValidator(_read_moment)]

#: A text that can be stored and shown: not empty, no control characters.
PlainText = Annotated[str, AfterValidator(Text(max_length=2_000).read)]
