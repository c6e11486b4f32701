"""Digests: plain ones name content, keyed ones name people and texts without giving them away."""

import hashlib
import hmac
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Return the one byte string that stands for ``value``: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 of ``value`` in canonical JSON, as 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def keyed_digest(key: bytes, *parts: str) -> str:
    """Return HMAC-SHA-256 of ``parts`` under ``key``, as 64 hex digits.

    The parts are length-prefixed, so ``("ab", "c")`` and ``("a", "bc")`` differ.
    """
    message = b"".join(len(part.encode()).to_bytes(8, "big") + part.encode() for part in parts)
    return hmac.new(key, message, hashlib.sha256).hexdigest()
