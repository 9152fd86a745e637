"""Keys that buy tokens: how often they are bought, who waits, and what a failure means. Time is an argument."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

import pytest

from headgate.errors import UpstreamMalformed, UpstreamRefused, UpstreamUnreachable
from headgate.net import Call, Headers
from headgate.providers.base import Credential, Secret
from headgate.providers.exchange import TokenExchange
from headgate.providers.watsonx import iam_call, iam_token

LIFE = 3600.0


def _credential(key: str = "key-1") -> Credential:
    return Credential(name="ibm", key=Secret(key), settings={"iam_url": "https://iam.cloud.ibm.com/identity/token"})


class Service:
    """IAM, with a clock. `status` and `broken` make it fail; `gate` holds its answers."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.status = 200
        self.broken = False
        self.calls: list[Call] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.auth = TokenExchange(iam_call, iam_token, now=lambda: self.now)

    async def fetch(self, call: Call, *, limit: int = 1 << 20) -> tuple[int, Headers, bytes]:
        self.calls.append(call)
        number = len(self.calls)
        await self.gate.wait()
        if self.broken:
            raise UpstreamUnreachable("no connection")
        return self.status, [], b'{"access_token": "token-%d", "expires_in": 3600}' % number

    async def token(self, key: str = "key-1") -> str:
        ((name, value),) = await self.auth.headers(_credential(key), self.fetch)
        assert name == b"authorization"
        return value.decode().removeprefix("Bearer ")


@pytest.mark.anyio
async def test_what_iam_is_asked() -> None:
    service = Service()
    await service.token("a+b&c")
    (call,) = service.calls
    assert (call.method, call.origin.scheme, call.origin.netloc, call.path) == (
        *("POST", "https", "iam.cloud.ibm.com", "/identity/token"),
    )
    assert isinstance(call.body, bytes)
    assert parse_qs(call.body.decode()) == {
        "grant_type": ["urn:ibm:params:oauth:grant-type:apikey"],
        "apikey": ["a+b&c"],
    }
    assert (b"content-type", b"application/x-www-form-urlencoded") in call.headers


@pytest.mark.anyio
async def test_a_token_is_kept_until_shortly_before_its_end() -> None:
    service = Service()
    assert await service.token() == "token-1"
    service.now += LIFE - 301
    assert await service.token() == "token-1"
    service.now += 2
    assert await service.token() == "token-2"
    assert len(service.calls) == 2


@pytest.mark.anyio
async def test_many_at_once_buy_one_token() -> None:
    service = Service()
    service.gate.clear()
    asked = [asyncio.create_task(service.token()) for _ in range(50)]
    await asyncio.sleep(0)
    service.gate.set()
    assert set(await asyncio.gather(*asked)) == {"token-1"}
    assert len(service.calls) == 1


@pytest.mark.anyio
async def test_while_one_renews_the_others_go_on_with_the_old_token() -> None:
    service = Service()
    await service.token()
    service.now += LIFE - 100
    service.gate.clear()
    renewing = asyncio.create_task(service.token())
    await asyncio.sleep(0)
    assert await service.token() == "token-1"
    service.gate.set()
    assert await renewing == "token-2"
    assert await service.token() == "token-2"


@pytest.mark.anyio
async def test_a_failed_renewal_is_no_failure_while_the_token_lives() -> None:
    """Tried again after ten seconds; once the token has ended, the failure is the call's."""
    service = Service()
    await service.token()
    service.now += LIFE - 100
    service.broken = True
    assert await service.token() == "token-1"
    assert await service.token() == "token-1"
    assert len(service.calls) == 2
    service.now += 11
    assert await service.token() == "token-1"
    assert len(service.calls) == 3
    service.now += 100
    with pytest.raises(UpstreamUnreachable):
        await service.token()
    service.broken = False
    assert await service.token() == "token-5"


@pytest.mark.parametrize(
    ("status", "told", "retryable"), [(400, 401, False), (401, 401, False), (429, 429, True), (503, 503, True)]
)
@pytest.mark.anyio
async def test_a_refused_key_is_the_providers_401(status: int, told: int, retryable: bool) -> None:
    service = Service()
    service.status = status
    with pytest.raises(UpstreamRefused) as error:
        await service.token()
    assert (error.value.status, error.value.retryable) == (told, retryable)
    assert "key-1" not in error.value.message


@pytest.mark.anyio
async def test_a_cancelled_exchange_leaves_it_to_the_next() -> None:
    service = Service()
    service.gate.clear()
    first, second = asyncio.create_task(service.token()), asyncio.create_task(service.token())
    await asyncio.sleep(0)
    first.cancel()
    service.gate.set()
    assert await second == "token-2"
    assert first.cancelled() or ((await asyncio.wait({first})) and first.cancelled())


@pytest.mark.anyio
async def test_two_keys_have_two_tokens() -> None:
    service = Service()
    assert await service.token("key-1") == "token-1"
    assert await service.token("key-2") == "token-2"
    assert await service.token("key-1") == "token-1"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"access_token": 3, "expires_in": 1}', b"<html>"])
def test_an_answer_without_a_token_is_malformed(body: bytes) -> None:
    with pytest.raises(UpstreamMalformed):
        iam_token(body)
