"""Ports for a process that is told its port and listens there seconds later.

A port that the system chooses is free only for the moment: the next connection that anybody makes may get it.
"""

import atexit
import socket

#: Below those that Linux gives to connections and to whoever leaves the choice to it: 32768 to 60999.
_PORTS = iter(range(15_000, 32_000))


def take_port() -> int:
    """A port that nobody listens on, nobody connects from, and no other test is given.

    The UDP port of the same number is kept as long as this process lives: other processes of tests look there first.
    """
    for port in _PORTS:
        holder = socket.socket(type=socket.SOCK_DGRAM)
        try:
            holder.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("", port))
        except OSError:
            holder.close()
            continue
        atexit.register(holder.close)
        return port
    raise RuntimeError("no port is free from 15000 to 31999")
