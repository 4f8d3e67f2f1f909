"""The last words of a CLI that failed, without the secrets that it was given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from kokino.agents.drivers.text import one_line
from kokino.process.errand import Report
from kokino.storage.redact import redacted

#: Variables that hold what nobody else may read, by a part of their names.
SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|AUTH", re.IGNORECASE)
#: The shortest value that is hidden: shorter ones would be found in any text.
SHORTEST = 6
#: A name and a password in an address: ``http://NAME:PASSWORD@proxy``.
IN_ADDRESS = re.compile(r"://[^\s/@:]*:(?P<password>[^\s/@]+)@")


def last_words(report: Report, env: Mapping[str, str]) -> str:
    """``: `` and the last line that it wrote, to standard error before standard output; else nothing."""
    said = (report.stderr.strip() or report.stdout.strip()).decode("utf-8", "replace").splitlines()
    if not said:
        return ""
    return f": {one_line(_without_secrets(said[-1], env))}"


def _without_secrets(text: str, env: Mapping[str, str]) -> str:
    """Values that hold a secret by the names of their variables, the longest first; other secrets masked."""
    passwords = {name: _passwords(value) for name, value in env.items()}
    hidden = [(value, name) for name, value in env.items() if SECRET.search(name) or passwords[name]]
    for value, name in sorted(hidden, key=lambda one: len(one[0]), reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, f"${name}")
    return redacted(text, (one for found in passwords.values() for one in found if len(one) >= SHORTEST))


def _passwords(value: str) -> tuple[str, ...]:
    """The password of a value that is an address, as it is written and as it is meant."""
    found = IN_ADDRESS.search(value)
    return () if found is None else (found["password"], unquote(found["password"]))
