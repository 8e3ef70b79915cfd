"""``python -m diamond_opus.simulator``: a simulated supplier in the foreground."""

import argparse
import sys
from dataclasses import replace

import orjson

from diamond_opus.simulator.server import DEFAULT_HOST, DEFAULT_PORT, Fault, SimulatorSettings, run


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; prints the endpoint's URL in one line when ready."""
    options = vars(_parser().parse_args(arguments))
    host, port = options.pop("host"), options.pop("port")
    try:
        run(replace(SimulatorSettings(), **options), host, port, lambda url: print(url, flush=True))  # noqa: T201
    except (OSError, ValueError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    default = SimulatorSettings()
    parser = argparse.ArgumentParser(prog="python -m diamond_opus.simulator", description=__doc__)
    add = parser.add_argument
    add("--host", default=DEFAULT_HOST)
    add("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one")
    add("--stones", type=int, default=default.stones)
    add("--seed", type=int, default=default.seed)
    add("--username", default=default.username)
    add("--password", default=default.password)
    add("--hostile-share", type=float, default=default.hostile_share)
    add("--short-page-rate", type=float, default=default.short_page_rate)
    add(
        "--stable-ties",
        dest="unstable_ties",
        action="store_false",
        help="equal keys always come in the same order",
    )
    add("--tie-swap-rate", type=float, default=default.tie_swap_rate)
    add("--wrong-types", action="store_true", help="also stones that break the schema")
    add("--token-lifetime-seconds", type=float, default=default.token_lifetime_seconds)
    add("--max-requests-per-second", type=int, default=None)
    add("--answer-delay-seconds", type=float, default=default.answer_delay_seconds)
    add("--churn-per-1000-requests", type=float, default=default.churn_per_1000_requests)
    add("--churn-per-second", type=float, default=default.churn_per_second)
    add("--max-offset", type=int, default=None, help="refuse deeper pages")
    add("--refused-login", choices=("null", "error"), default=default.refused_login)
    add(
        "--fault",
        dest="faults",
        type=lambda text: Fault.from_json(orjson.loads(text)),
        action="append",
        default=[],
        metavar="JSON",
        help="""may be repeated, for example '{"kind": "http_429", "rate": 0.01}'""",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
