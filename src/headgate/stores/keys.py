"""Virtual keys as text: how one is made, told from a typo, and digested. Pure functions, but for the file of the
pepper.

A key is `sk-hg-` + 32 random characters (base 62, 190 bits) + 6 characters of checksum (CRC-32 of the 32, base 62): a
key that was cut or mistyped is told from one that is unknown or revoked without a look-up, and secret scanners can
verify a find. Stored is only `digest(pepper, key)`, HMAC-SHA256: who reads the database alone can neither use nor
guess keys.
"""

from __future__ import annotations

import fcntl
import hmac
import os
from pathlib import Path
from zlib import crc32

from headgate import clock
from headgate.errors import ConfigError

PREFIX = "sk-hg-"
RANDOM = 32
CHECK = 6
LENGTH = len(PREFIX) + RANDOM + CHECK
PEPPER_BYTES = 32

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _base62(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def make(entropy: bytes) -> str:
    """The key of some chance: at least 32 bytes, of which the remainder by 62**32 counts (its bias is below 2**-65)."""
    if len(entropy) < 32:
        raise ValueError("a key needs 32 bytes of entropy")
    body = _base62(int.from_bytes(entropy) % 62**RANDOM, RANDOM)
    return PREFIX + body + _check(body)


def _check(body: str) -> str:
    return _base62(crc32(body.encode()), CHECK)


def well_formed(key: str) -> bool:
    """Whether this was once made by `make`. Keys that an operator declares need not be."""
    if len(key) != LENGTH or not key.startswith(PREFIX) or not key.isascii():
        return False
    return _check(key[len(PREFIX) : -CHECK]) == key[-CHECK:]


def digest(pepper: bytes, key: str) -> bytes:
    """HMAC-SHA256, 32 bytes: how a key is stored and looked up. Any text is digested, also what is no key at all."""
    return hmac.digest(pepper, key.encode("utf-8", "surrogatepass"), "sha256")


def hint(key: str) -> str:
    """The last four characters: enough for people to tell keys apart, and part of the checksum, not of the secret."""
    return key[-4:]


def pepper(path: Path) -> bytes:
    """The 32 bytes of the pepper's file, made at first use (mode 0600). Processes that start together get the same
    bytes: the file is locked from its creation until it is whole. Raises ConfigError for a file that is cut or open to
    everybody."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        status = os.fstat(file)
        if status.st_mode & 0o007:
            raise ConfigError("the pepper may be read by everybody", where=str(path), hint=f"chmod 600 {path}")
        if status.st_size == 0:
            os.pwrite(file, clock.secret(PEPPER_BYTES), 0)
            os.fsync(file)
        value = os.pread(file, PEPPER_BYTES + 1, 0)
    finally:
        os.close(file)
    if len(value) != PEPPER_BYTES:
        hint_ = "restore it from a backup; without it all keys are void"
        raise ConfigError(f"the pepper has {len(value)} bytes, not {PEPPER_BYTES}", where=str(path), hint=hint_)
    return value
