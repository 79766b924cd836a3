"""Identities become tokens by a keyed hash, so that what belongs together stays together and nothing more is told."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from medshard.errors import MedshardError

__all__ = ["PUBLIC_KEY", "Remapper", "load_id_key"]

PUBLIC_KEY = b"medshard public data"
"""Key for data that are public already: tokens hide nothing there, they only keep identifiers out of the corpus."""

_MIN_KEY_BYTES = 16
_TOKEN_HEX = 16


class Remapper:
    """Deterministic tokens under one key.

    Args:
        key: the secret; equal keys give equal tokens.
    """

    def __init__(self, key: bytes = PUBLIC_KEY) -> None:
        self._key = key

    @property
    def key_id(self) -> str:
        """Names the key without telling it; kept in ``corpus.json``."""
        return hashlib.sha256(b"medshard key id" + self._key).hexdigest()[:8]

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.new(self._key, f"{kind}\0{text}".encode(), hashlib.sha256).digest()

    def uid(self, uid: str) -> str:
        """A UID in place of a UID: ``2.25.`` and a UUID-sized integer (PS3.5 B.2), at most 64 characters."""
        return f"2.25.{int.from_bytes(self._digest('uid', uid.strip())[:16], 'big')}"

    def token(self, kind: str, text: str) -> str:
        """A short token for anything else; ``kind`` keeps a patient and a study of one name apart."""
        return self._digest(kind, text).hex()[:_TOKEN_HEX]


def load_id_key(path: Path) -> bytes:
    """Read a key file.

    Raises:
        MedshardError: the file cannot be read, or holds too little to be a secret.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise MedshardError(f"{path}: the id key cannot be read: {error.strerror}") from error
    if len(key) < _MIN_KEY_BYTES:
        hint = "head -c 32 /dev/urandom | base64 > id.key"
        raise MedshardError(f"{path}: an id key has at least {_MIN_KEY_BYTES} bytes, this has {len(key)}: {hint}")
    return key
