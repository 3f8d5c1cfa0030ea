"""Pseudonyms: HMAC-SHA-256 under the programme key, computed inside DuckDB.

The key is bound as a parameter, never part of SQL text, which error messages quote.
"""

from __future__ import annotations

import hashlib
import hmac

from goral_pipeline.errors import SettingsError
from goral_pipeline.settings import Settings

SHORTEST_KEY = 32
_BLOCK_BYTES = 64


def programme_key(settings: Settings) -> bytes:
    """The programme key.

    Raises:
        SettingsError: when it is not set or too short to keep out a guess.
    """
    secret = settings.pseudonym_key.get_secret_value() if settings.pseudonym_key else ""
    if len(secret) < SHORTEST_KEY:
        raise SettingsError(
            f"GORAL_PSEUDONYM_KEY must hold at least {SHORTEST_KEY} characters: this dataset has "
            "personal columns. Set the key that earlier deliveries were staged with (that of the "
            "demo is shown by `goral demo serve`); for the first make one with `python -c 'import "
            "secrets; print(secrets.token_hex(32))'` and keep it: another gives other pseudonyms"
        )
    return secret.encode()


def key_id(key: bytes) -> str:
    """A name for the key that does not give it away."""
    return hmac.new(key, b"goral key id", hashlib.sha256).hexdigest()[:16]


def pads(key: bytes) -> dict[str, bytes]:
    """The two pads of HMAC (RFC 2104), as the parameters `ipad` and `opad` of `expression`."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(
        _BLOCK_BYTES, b"\0"
    )
    return {"ipad": bytes(b ^ 0x36 for b in block), "opad": bytes(b ^ 0x5C for b in block)}


def expression(text: str) -> str:
    """SQL for the pseudonym of a text that is `alike` already."""
    return f"sha256($opad::blob || unhex(sha256($ipad::blob || encode({text}))))"


def alike(text: str) -> str:
    """SQL for a text without what two spellings of it may differ in: case and outer blanks."""
    return f"lower({trimmed(text)})"


def trimmed(text: str) -> str:
    """SQL for the text without outer blanks: DuckDB's trim(), called only where there can be any.

    It goes through a text letter by letter; most begin and end with an ASCII character.
    """
    bare = f"{text} >= '!' and not suffix({text}, ' ') and strlen({text}) = length({text})"
    return f"case when {bare} then {text} else trim({text}) end"
