"""docs/monitoring.md has every metric as the code describes it; DIAMOND_WRITE_EXAMPLES=1 writes its table anew."""

import os
from pathlib import Path

from diamond_opus.observability.collectors import Named, Values
from diamond_opus.observability.metrics import DESCRIPTIONS

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
_HEAD = "|---|---|---|---|---|\n"


def table() -> str:
    return "".join(
        f"| `{one.name}` | {one.kind} | {one.text} | {'; '.join(map(_words, *zip(*one.labels.items(), strict=True)))} "
        f"| {'yes' if one.from_database else ''} |\n"
        if one.labels
        else f"| `{one.name}` | {one.kind} | {one.text} | | {'yes' if one.from_database else ''} |\n"
        for one in sorted(DESCRIPTIONS.values(), key=lambda described: described.name)
    )


def _words(label: str, values: Values) -> str:
    return f"`{label}`: {values.words if isinstance(values, Named) else ', '.join(values)}"


def test_the_page_describes_every_metric_as_the_code_does() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, head, _ = text.rpartition(_HEAD)
    if os.environ.get("DIAMOND_WRITE_EXAMPLES"):
        PAGE.write_text(before + head + table(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == before + head + table()
