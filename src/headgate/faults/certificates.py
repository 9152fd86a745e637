"""Certificates for the laboratory's listeners, made anew each time: no private key stands in the source or outlives the run.

Rules of this file:
- An authority of its own, ECDSA on P-256 with SHA-256 (SEC 1, RFC 5480), X.509 v3 in DER (RFC 5280). The standard library reads
  certificates and makes none, which is the only reason for this arithmetic: it takes no care against timing and guards nothing.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from textwrap import wrap

from headgate import clock

# P-256: FIPS 186-4 D.1.2.3
_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point = tuple[int, int] | None
DAY = 86400.0


def _add(a: _Point, b: _Point) -> _Point:
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0] and (a[1] + b[1]) % _P == 0:
        return None
    slope = (3 * a[0] ** 2 - 3) * pow(2 * a[1], -1, _P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, _P)
    x = (slope**2 - a[0] - b[0]) % _P
    return x, (slope * (a[0] - x) - a[1]) % _P


@cache
def _doubled() -> tuple[_Point, ...]:
    """The base point times 1, 2, 4, ..."""
    points: list[_Point] = [_G]
    while len(points) < 256:
        points.append(_add(points[-1], points[-1]))
    return tuple(points)


def _times(scalar: int) -> tuple[int, int]:
    """The base point times this."""
    total: _Point = None
    for place, point in enumerate(_doubled()):
        if scalar >> place & 1:
            total = _add(total, point)
    assert total is not None
    return total


def _scalar() -> int:
    return int.from_bytes(clock.secret(40), "big") % (_N - 1) + 1


def _sign(key: int, data: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(data).digest(), "big")
    once = _scalar()
    r = _times(once)[0] % _N
    return _sequence(_integer(r), _integer(pow(once, -1, _N) * (digest + r * key) % _N))


# ---------------------------------------------------------------------- DER (X.690)


def _tagged(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    long = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x80 | len(long)]) + long) + body


def _sequence(*parts: bytes) -> bytes:
    return _tagged(0x30, *parts)


def _integer(value: int) -> bytes:
    return _tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _bits(data: bytes) -> bytes:
    return _tagged(0x03, b"\0", data)


def _time(at: float) -> bytes:
    return _tagged(0x18, datetime.fromtimestamp(at, UTC).strftime("%Y%m%d%H%M%SZ").encode())


_ECDSA = _sequence(bytes.fromhex("06082a8648ce3d040302"))
_CURVE = bytes.fromhex("06082a8648ce3d030107")
_EC_KEY = _sequence(bytes.fromhex("06072a8648ce3d0201"), _CURVE)
_COMMON_NAME = bytes.fromhex("0603550403")
_BASIC, _USAGE, _NAMES, _SUBJECT_KEY, _AUTHORITY_KEY = (
    bytes.fromhex(f"0603551d{last}") for last in ("13", "0f", "11", "0e", "23")
)
_TRUE = b"\x01\x01\xff"


def _name(text: str) -> bytes:
    return _sequence(_tagged(0x31, _sequence(_COMMON_NAME, _tagged(0x0C, text.encode()))))


def _public(key: int) -> bytes:
    x, y = _times(key)
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def _pem(kind: str, der: bytes) -> str:
    return "\n".join([f"-----BEGIN {kind}-----", *wrap(b64encode(der).decode(), 64), f"-----END {kind}-----", ""])


def _extension(identifier: bytes, value: bytes, critical: bool = False) -> bytes:
    return _sequence(identifier, _TRUE if critical else b"", _tagged(0x04, value))


def _key_id(key: int) -> bytes:
    return hashlib.sha256(_public(key)).digest()[:20]


class Authority:
    """Signs certificates. `certificate` is its own, PEM."""

    def __init__(self, now: float) -> None:
        self._key = _scalar()
        self._now = now
        signs = _extension(_USAGE, bytes.fromhex("03020106"), critical=True)  # keyCertSign, cRLSign
        root = _extension(_BASIC, _sequence(_TRUE), critical=True)
        itself = _extension(_SUBJECT_KEY, _tagged(0x04, _key_id(self._key)))
        valid = (now - DAY, now + 30 * DAY)
        self.certificate = self._signed("Headgate laboratory", self._key, valid, signs + root + itself)

    def issue(self, host: str, until: float) -> str:
        """A certificate for a DNS name or an IP address, good until then, and its private key; PEM."""
        key = _scalar()
        try:
            name = _tagged(0x87, ip_address(host).packed)
        except ValueError:
            name = _tagged(0x82, host.encode())
        valid = (min(self._now, until) - DAY, until)
        signer = _extension(_AUTHORITY_KEY, _sequence(_tagged(0x80, _key_id(self._key))))
        certificate = self._signed(host, key, valid, _extension(_NAMES, _sequence(name)) + signer)
        secret = _sequence(
            _integer(1),
            _tagged(0x04, key.to_bytes(32, "big")),
            _tagged(0xA0, _CURVE),
            _tagged(0xA1, _bits(_public(key))),
        )
        return certificate + _pem("EC PRIVATE KEY", secret)

    def _signed(self, subject: str, key: int, valid: tuple[float, float], extensions: bytes) -> str:
        body = _sequence(
            _tagged(0xA0, _integer(2)),
            _integer(_scalar() >> 128),
            _ECDSA,
            _name("Headgate laboratory"),
            _sequence(_time(valid[0]), _time(valid[1])),
            _name(subject),
            _sequence(_EC_KEY, _bits(_public(key))),
            _tagged(0xA3, _sequence(extensions)),
        )
        return _pem("CERTIFICATE", _sequence(body, _ECDSA, _bits(_sign(self._key, body))))
