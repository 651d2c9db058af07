"""What a provider's answer to a test says about a connection, in the seed system's words. Pure.

| type                    | when                                                              |
|-------------------------|-------------------------------------------------------------------|
| `ok`                    | the credential was accepted                                       |
| `auth_missing`          | the provider wants a credential and the connection has none       |
| `upstream_auth_error`   | 401, 403                                                          |
| `upstream_rate_limited` | 429: the credential is known there, and has no more to ask just now |
| `upstream_unavailable`  | 500 and above                                                     |
| `unsupported`           | 404, 405: nothing there that could be asked                       |
| `network_error`         | no answer: refused, no such name, TLS, too slow                   |
| `blocked_address`       | the address may not be called (`allowPrivate`)                    |
| `upstream_error`        | any other answer that tells nothing                               |
| `local_error`           | the gateway itself cannot use the connection: its secret does not open |
"""

from typing import Literal

import msgspec

from gateway.upstream.seam import UpstreamFault

Kind = Literal[
    "ok", "auth_missing", "upstream_auth_error", "upstream_rate_limited", "upstream_unavailable", "unsupported",
    "network_error", "blocked_address", "upstream_error", "local_error",
]  # fmt: skip
Source = Literal["local", "upstream", "validation"]

MAX_MESSAGE = 300
_REFUSING_WORDS = ("api key not valid", "api_key_invalid", "invalid api key", "incorrect api key", "invalid x-api-key")
"""Some providers say 400 where they mean 401."""


class Diagnosis(msgspec.Struct, frozen=True):
    """`code` is a status, or the word for a fault; `message` is for the operator and holds no secret."""

    type: Kind
    source: Source
    code: str = ""
    message: str = ""

    @property
    def is_valid(self) -> bool:
        """The credential was accepted, even if the account may not ask just now."""
        return self.type in ("ok", "upstream_rate_limited")


def of_fault(fault: UpstreamFault) -> Diagnosis:
    """Of a call that brought no answer."""
    if fault.kind == "blocked_address":
        return Diagnosis("blocked_address", "local", fault.kind, str(fault))
    if fault.kind in ("no_capacity", "draining"):
        return Diagnosis("local_error", "local", fault.kind, str(fault))
    return Diagnosis("network_error", "upstream", fault.kind, str(fault))


def of_list(status: int, said: str) -> Diagnosis | None:
    """Of an answer to "which models are there"; None when it proves nothing and something else should be asked."""
    if _refuses_key(status, said):
        return _diagnosis("upstream_auth_error", status, said)
    if status == 429:
        return _diagnosis("upstream_rate_limited", status, said)
    return None


def of_chat(status: int, said: str) -> Diagnosis:
    """Of an answer to a request for one token. What is wrong with that request does not matter: the key was accepted."""
    if _refuses_key(status, said):
        return _diagnosis("upstream_auth_error", status, said)
    if status in (404, 405):
        return _diagnosis("unsupported", status, said)
    if status == 429:
        return _diagnosis("upstream_rate_limited", status, said)
    if status >= 500:
        return _diagnosis("upstream_unavailable", status, said)
    if 200 <= status < 300 or 400 <= status < 500:
        return _diagnosis("ok", status, "" if status < 300 else said)
    return _diagnosis("upstream_error", status, said)


def _refuses_key(status: int, said: str) -> bool:
    return status in (401, 403) or (status == 400 and any(word in said.lower() for word in _REFUSING_WORDS))


def _diagnosis(kind: Kind, status: int, said: str) -> Diagnosis:
    return Diagnosis(kind, "upstream", str(status), said[:MAX_MESSAGE])
