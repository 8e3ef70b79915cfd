"""``diamond simulator``: a supplier to try everything against, in the foreground."""

from typing import Annotated

import typer

from diamond_opus.cli.running import console, prepare
from diamond_opus.cli.serving import is_port_free
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.room_settings import SIMULATOR_ACCOUNT, supplier_account
from diamond_opus.settings import Settings
from diamond_opus.simulator.settings import DEFAULT_HOST, SimulatorSettings

_DEFAULTS = SimulatorSettings()


def register(app: typer.Typer) -> None:
    app.command()(simulator)


def simulator(
    stones: Annotated[int, typer.Option(min=0, help="Natural and lab-grown together.")] = _DEFAULTS.stones,
    seed: Annotated[int, typer.Option(help="The same seed gives the same stones.")] = _DEFAULTS.seed,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = DEFAULT_HOST,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Else SIMULATOR_PORT; 0 takes a free one.")
    ] = None,
    username: Annotated[str | None, typer.Option(help="Else NIVODA_USERNAME, else demo@example.com.")] = None,
    password: Annotated[str | None, typer.Option(help="Else NIVODA_PASSWORD, else demo.")] = None,
    hostile_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of odd stones.")
    ] = _DEFAULTS.hostile_share,
    short_page_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pages that withhold their last rows.")
    ] = _DEFAULTS.short_page_rate,
    tie_swap_rate: Annotated[
        float, typer.Option(min=0, max=1, help="How often neighbours with equal keys swap places.")
    ] = _DEFAULTS.tie_swap_rate,
    wrong_types: Annotated[
        bool, typer.Option("--wrong-types", help="Also stones that break the schema.")
    ] = False,
    token_lifetime_seconds: Annotated[float, typer.Option(help="How long a login lasts.")] = (
        _DEFAULTS.token_lifetime_seconds
    ),
    max_requests_per_second: Annotated[
        int | None, typer.Option(min=1, help="More than that get 429; without it there is no limit.")
    ] = None,
    answer_delay_seconds: Annotated[
        float, typer.Option(min=0, help="Added to each answer.")
    ] = _DEFAULTS.answer_delay_seconds,
    churn_per_1000_requests: Annotated[
        float, typer.Option(min=0, help="Stones that come, go or change with so many requests.")
    ] = _DEFAULTS.churn_per_1000_requests,
    churn_per_second: Annotated[
        float, typer.Option(min=0, help="Stones that come, go or change with time.")
    ] = _DEFAULTS.churn_per_second,
) -> None:
    """Serve a simulated supplier until SIGTERM or SIGINT; prints the endpoint when it is ready."""
    settings = prepare("simulator", quiet=True)
    port = settings.simulator_port if port is None else port
    known_username, known_password = _account(settings)
    chosen = SimulatorSettings(
        stones=stones,
        seed=seed,
        username=username or known_username,
        password=password or known_password,
        hostile_share=hostile_share,
        short_page_rate=short_page_rate,
        tie_swap_rate=tie_swap_rate,
        wrong_types=wrong_types,
        token_lifetime_seconds=token_lifetime_seconds,
        max_requests_per_second=max_requests_per_second,
        answer_delay_seconds=answer_delay_seconds,
        churn_per_1000_requests=churn_per_1000_requests,
        churn_per_second=churn_per_second,
    )
    if not is_port_free(host, port):
        raise ConfigurationError(
            f"SIMULATOR_PORT: port {port} of {host} is in use or not allowed; choose another with SIMULATOR_PORT=…"
        )
    # Only here: no other command should spend a fifth of a second on loading the simulator.
    from diamond_opus.simulator.server import run

    run(chosen, host, port, lambda endpoint: _tell_ready(endpoint, chosen))


def _account(settings: Settings) -> tuple[str, str]:
    """What our own processes log in with, so that both sides agree; never the login of a real supplier."""
    if not settings.supplier_is_simulator:
        return SIMULATOR_ACCOUNT
    account = supplier_account(settings)
    return account.username, account.password


def _tell_ready(endpoint: str, chosen: SimulatorSettings) -> None:
    print(endpoint, flush=True)
    console.print(
        f"{chosen.stones:,} stones of seed {chosen.seed}; account {chosen.username}; Ctrl-C stops it.",
        highlight=False,
    )
