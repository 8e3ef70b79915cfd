"""From which address a request really comes: the nearest one that is not a proxy of ours."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.requests import Request

from diamond_opus.domain.errors import ConfigurationError

Network = IPv4Network | IPv6Network

#: One customer's line is a whole IPv6 network of this size.
_IPV6_CUSTOMER_BITS = 64


class ClientAddresses:
    """Tells addresses; ``trusted_proxies`` are those whose X-Forwarded-For is believed."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        """Raises ConfigurationError for what is neither an address nor a network."""
        self._trusted: Sequence[Network] = [_network(text) for text in trusted_proxies]

    def of(self, request: Request) -> str:
        """The client's address, an IPv6 one as the network it belongs to.

        Proxies append to X-Forwarded-For, so it is read from its end; what stands before the first address
        that is not trusted could be made up.
        """
        nearest = request.client.host if request.client else ""
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        hops = [hop.strip() for hop in forwarded.split(",")] if forwarded else []
        while hops and self._is_trusted(nearest) and _is_address(hops[-1]):
            nearest = hops.pop()
        return _grouped(nearest)

    def _is_trusted(self, text: str) -> bool:
        return _is_address(text) and any(_plain(text) in network for network in self._trusted)


def _network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigurationError(
            f"TRUSTED_PROXIES ({text!r}): use addresses or networks, such as 10.0.0.0/8"
        ) from error


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _plain(text: str) -> IPv4Address | IPv6Address:
    """The address; an IPv4 one that came wrapped in IPv6 is unwrapped."""
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _grouped(text: str) -> str:
    if not _is_address(text):
        return text
    address = _plain(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _IPV6_CUSTOMER_BITS), strict=False))
    return str(address)
