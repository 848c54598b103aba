"""What a worker's fetch() goes through: the node asks for it, where its settings allow."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from fnmatch import fnmatchcase

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from skerry.api.bindings.base import BindingFace
from skerry.api.bindings.passing import open_client, pass_on
from skerry.workers.workerd.config import PROTO_HEADER

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class RefusedError(Exception):
    """The node's settings do not allow this request."""


class Allowed:
    """Which hosts workers may reach."""

    def __init__(self, patterns: Sequence[str], *, offline: bool) -> None:
        """patterns: shell patterns of HOST or HOST:PORT; `*` stands for every public host."""
        self._public = "*" in patterns
        self._named = [each.lower() for each in patterns if each != "*"]
        self._offline = offline

    def named(self, host: str, port: int) -> bool:
        """Is this very host in the settings?"""
        return any(
            fnmatchcase(host.lower(), each) or fnmatchcase(f"{host.lower()}:{port}", each)
            for each in self._named
        )

    def check(self, host: str, port: int) -> None:
        """Raises RefusedError for a host that may not be reached, whatever its address."""
        if self._offline and not (self.named(host, port) and _local_name(host)):
            raise RefusedError(
                f"fetch of {host}: the network is closed (offline). Start the node without"
                " --offline to let workers out"
            )
        if not self._public and not self.named(host, port):
            raise RefusedError(
                f"fetch of {host}: the node's setting `outbound` does not name this host"
            )

    def check_address(self, host: str, port: int, address: str) -> None:
        """Raises RefusedError for a private address behind a host that is not named."""
        if not public(address) and not self.named(host, port):
            raise RefusedError(
                f"fetch of {host}: {address} is no public address; to allow it, name"
                f" {host}:{port} in the node's setting `outbound`"
            )


def public(address: str) -> bool:
    """Is this an address of the public internet?"""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        found = _embedded(found) or found
    return found.is_global and not found.is_multicast


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that this one leads to: mapped, by 6to4, or by NAT64 (RFC 6052)."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _local_name(host: str) -> bool:
    try:
        return not public(str(ipaddress.ip_address(host)))
    except ValueError:
        return host == "localhost"


class _Checked(AbstractResolver):
    """Resolves names and looks at what comes out: a public name may lead to a private address."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            self._allowed.check_address(host, port, each["host"])
        return found

    async def close(self) -> None:
        await self._resolver.close()


class OutboundFace(BindingFace):
    """Passes a request on and its answer back, both as they come in."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._session: aiohttp.ClientSession | None = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=_Checked(self._allowed), limit=256)
            self._session = open_client(connector)
        return self._session

    async def close(self) -> None:
        """Close the connections that are kept."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        scheme = request.headers.get(PROTO_HEADER, "http")
        try:
            url = URL(f"{scheme}://{request.host}{request.raw_path}", encoded=True)
            host, port = url.host, url.port
        except ValueError:
            host = port = None
        if not host or port is None or scheme not in ("http", "https"):
            return _gateway(f"fetch: {scheme}://{request.host[:100]} cannot be reached")
        try:
            self._allowed.check(host, port)
            _check_literal(self._allowed, host, port)
            return await pass_on(self._client(), request, url)
        except RefusedError as error:
            return web.Response(status=403, text=str(error))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            refused = _refusal(error)
            if refused is not None:
                return web.Response(status=403, text=str(refused))
            return _gateway(f"fetch of {host}: {error or type(error).__name__}")


def _check_literal(allowed: Allowed, host: str, port: int) -> None:
    """An address that is written out is never resolved."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    allowed.check_address(host, port, host)


def _refusal(error: BaseException) -> RefusedError | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RefusedError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _gateway(message: str) -> web.Response:
    return web.Response(status=502, text=message)
