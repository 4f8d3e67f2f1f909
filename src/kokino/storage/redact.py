"""Take secrets out of what is kept for people to read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

MASK = "[redacted]"
#: Variables that hold what nobody else may read, by a part of their names. An author's name is none.
SECRET = re.compile("KEY|TOKEN|SECRET|PASS|_PWD|CREDENTIAL|COOKIE|AUTH(?!OR)", re.IGNORECASE)
#: The shortest value that is hidden: shorter ones would be found in any text.
SHORTEST = 6
#: A name and a password in an address: ``http://NAME:PASSWORD@proxy``.
_IN_ADDRESS = re.compile(r"://[^\s/@:]*:(?P<password>[^\s/@]+)@")
#: A path, an address of a host, a word, a number: no secrets by themselves, and they stand in ordinary text.
_PLAIN = re.compile(r"[~/].*|\w[\w+.-]*://[\w.:\[\]-]*/?|[A-Za-z]*|[0-9.]*", re.DOTALL)

#: Shapes of well-known tokens, for those that nobody told us of.
_SHAPES = re.compile(
    r"""
      kk1\.[\w-]+\.[\w-]+                        # ours
    | sk-[A-Za-z0-9_-]{16,}                      # OpenAI, Anthropic
    | gh[pousr]_[A-Za-z0-9]{20,}                 # GitHub
    | xox[abprs]-[A-Za-z0-9-]{10,}               # Slack
    | AIza[A-Za-z0-9_-]{30,}                     # Google
    | https://hooks\.slack\.com/services/[\w/]+  # a webhook is its own password
    | (?<=://)[^\s/@:]*:[^\s/@]+(?=@)            # a name and a password in an address
    | (?<=[Bb]earer\ )[A-Za-z0-9._~+/=-]{8,}
    """,
    re.VERBOSE,
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with `secrets` and everything that looks like a token masked.

    The longest first: one that begins like another would else leave its end behind.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _SHAPES.sub(MASK, text)


def secrets_of(inherited: Mapping[str, str], own: Mapping[str, str]) -> Iterator[str]:
    """What to mask in what somebody says who has this environment.

    Of all variables those whose names tell that they hold a secret, and passwords in addresses. What somebody
    has set for a CLI or an agent, `own`, may hold one under any name: all of that but what is plain.
    """
    found = [value for name, value in {**inherited, **own}.items() if SECRET.search(name)]
    found += [value for value in own.values() if not _PLAIN.fullmatch(value)]
    found += [one for value in {**inherited, **own}.values() for one in passwords_in(value)]
    return (value for value in dict.fromkeys(found) if len(value) >= SHORTEST)


def passwords_in(value: str) -> tuple[str, ...]:
    """The password of a value that is an address, as it is written and as it is meant."""
    found = _IN_ADDRESS.search(value)
    return () if found is None else (found["password"], unquote(found["password"]))
