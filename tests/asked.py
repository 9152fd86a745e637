"""A request without a server (an `Incoming`): its body is there, and its answer is kept."""

from __future__ import annotations

from headgate.net import Headers


class Asked:
    method = "POST"
    peer = "127.0.0.1"
    begun = False
    keep = True
    received = True

    def __init__(self, path: str, body: bytes, headers: dict[str, str] | None = None, query: bytes = b"") -> None:
        self.path = path
        self.query = query
        told = {"content-length": str(len(body)), **(headers or {})}
        self.headers: Headers = [(name.encode(), value.encode()) for name, value in told.items()]
        self._body = body
        self.status = 0
        self.answered: Headers = []
        self.pieces: list[bytes] = []
        self.over = False

    async def read(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self.begin(status, headers)
        self.write(body)
        self.end()

    def begin(self, status: int, headers: Headers) -> None:
        assert not self.begun
        self.begun, self.status, self.answered = True, status, headers

    def write(self, data: bytes) -> bool:
        self.pieces.append(data)
        return True

    async def drain(self) -> None:
        return None

    def end(self) -> None:
        self.over = True

    def cut(self) -> None:
        assert self.over

    def hold_off(self, seconds: float) -> None:
        return None
