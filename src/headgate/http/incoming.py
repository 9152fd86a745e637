"""One request as it comes in, and the way back to its client: what the server gives to whoever answers."""

from __future__ import annotations

from typing import Protocol

from headgate.net import Headers


class ClientLeft(BaseException):
    """The client went before its request was complete. A BaseException: no handler of errors may take it for one."""


class Incoming(Protocol):
    """A request head, with its body still to come. It is answered once: `answer` with all of it, or `begin`, `write` as often as
    there is something, `end`. Who stops in between says `cut`. To a client that has left, all of these have no effect."""

    method: str
    path: str
    """Decoded."""
    query: bytes
    headers: Headers
    peer: str
    """The address that the connection comes from."""
    begun: bool
    """There is an answer, or some of one."""
    keep: bool
    """Its connection may carry another request behind this one."""
    received: bool
    """All of its body is here, read or not."""

    async def read(self) -> bytes:
        """The next bytes of the body, b"" at its end. Raises ClientLeft; RequestTimeout when the client has been silent for as long as it
        may be (each pause is bounded, not the whole: a large body on a slow line is no fault)."""
        ...

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer; its length is told."""
        ...

    def begin(self, status: int, headers: Headers) -> None:
        """The head of an answer that comes in pieces. It goes out with the first one."""
        ...

    def write(self, data: bytes) -> bool:
        """A piece of the body; whether the client keeps up. If not, `drain` before more."""
        ...

    async def drain(self) -> None:
        """Wait until the client has taken what waits for it. Raises nothing when it leaves."""
        ...

    def end(self) -> None: ...

    def cut(self) -> None:
        """There is no more: the connection is closed, so that nobody takes what came for the whole. No effect after the end."""
        ...

    def hold_off(self, seconds: float) -> None:
        """Read nothing more from this client for so long: what it sends stays in its socket, where it costs nothing."""
        ...
