"""Tokens that say what their bearer may do, and until when. Nothing is stored: the key signs them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from kokino.clock import from_ms, to_ms
from kokino.errors import Denied

_PREFIX = "kk1"
#: Of the key, in bytes: as long as what it signs with gives.
KEY_LENGTH = 32


class Scope(StrEnum):
    """What a token may be good for."""

    READ = "read"
    RUN = "run"
    OPERATE = "operate"
    APPROVE = "approve"
    ADMIN = "admin"
    #: To say what happened elsewhere, and nothing else: for machines that call ``/api/hooks``.
    HOOK = "hook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Who asks, and what they may do."""

    #: ``local``, ``admin`` or ``playbook availability-slo-breach``: what timelines and logs say.
    subject: str
    scopes: frozenset[Scope]

    def allows(self, scope: Scope) -> bool:
        """True where the scope was given, or admin, which holds all."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class Tokens:
    """Makes and checks tokens with one secret key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @staticmethod
    def open(path: Path) -> Tokens:
        """Read the key at `path`; make one, for this user only, where there is none that is whole."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            if len(key := path.read_bytes()) == KEY_LENGTH:
                return Tokens(key)
        key = secrets.token_bytes(KEY_LENGTH)
        # Written aside and renamed: a broker that dies here leaves no half key, which could be guessed.
        descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
        Path(aside).replace(path)
        return Tokens(key)

    def mint(self, subject: str, scopes: Iterable[Scope], *, ends_at: datetime) -> str:
        """A token that is good until `ends_at`."""
        claims = {"sub": subject, "scp": sorted(scopes), "exp": to_ms(ends_at)}
        body = _encode(json.dumps(claims, separators=(",", ":")).encode())
        return f"{_PREFIX}.{body}.{self._sign(body)}"

    def check(self, token: str, *, now: datetime) -> Grant:
        """What the token grants. Raises `Denied` when it is none of ours, or is over."""
        prefix, _, rest = token.partition(".")
        body, _, signature = rest.partition(".")
        # As bytes: of text, compare_digest takes ASCII alone, and anything may have been sent.
        is_ours = hmac.compare_digest(self._sign(body).encode(), signature.encode("utf-8", "replace"))
        if prefix != _PREFIX or not is_ours:
            raise Denied("the token was not made by this broker; leave it out, or get a new one")
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if from_ms(claims["exp"]) <= now:
            raise Denied("the token is over; get a new one")
        return Grant(subject=claims["sub"], scopes=frozenset(Scope(scope) for scope in claims["scp"]))

    def _sign(self, body: str) -> str:
        return _encode(hmac.new(self._key, body.encode("utf-8", "replace"), hashlib.sha256).digest())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
