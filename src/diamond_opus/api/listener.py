"""The port on which a process answers, taken before anything else is started."""

import errno
import socket

from diamond_opus.domain.errors import ConfigurationError


def bind(host: str, port: int, *, setting: str = "PORT") -> socket.socket:
    """A socket bound to the address; port 0 takes any free one. Raises ConfigurationError saying what to change."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise ConfigurationError(f"HOST ({host!r}): {error.strerror}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Only listening tells for sure that nobody else does.
        listener.listen()
    except OSError as error:
        listener.close()
        raise ConfigurationError(_explain(error, host, port, setting)) from error
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL at which a bound socket is reached."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def _explain(error: OSError, host: str, port: int, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; choose another with {setting}=…"
    if error.errno == errno.EACCES:
        return f"port {port} may not be used by this user; choose one above 1023 with {setting}=…"
    return f"cannot listen on {host}:{port}: {error.strerror}; check HOST and {setting}"
