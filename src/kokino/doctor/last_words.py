"""The last words of a CLI that failed, without the secrets that it was given."""

from __future__ import annotations

from collections.abc import Mapping

from kokino.agents.drivers.text import one_line
from kokino.process.errand import Report
from kokino.storage.redact import SECRET, SHORTEST, passwords_in, redacted


def last_words(report: Report, env: Mapping[str, str]) -> str:
    """``: `` and the last line that it wrote, to standard error before standard output; else nothing."""
    said = (report.stderr.strip() or report.stdout.strip()).decode("utf-8", "replace").splitlines()
    if not said:
        return ""
    return f": {one_line(_without_secrets(said[-1], env))}"


def _without_secrets(text: str, env: Mapping[str, str]) -> str:
    """Values that hold a secret by the names of their variables, the longest first; other secrets masked."""
    passwords = {name: passwords_in(value) for name, value in env.items()}
    hidden = [(value, name) for name, value in env.items() if SECRET.search(name) or passwords[name]]
    for value, name in sorted(hidden, key=lambda one: len(one[0]), reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, f"${name}")
    return redacted(text, (one for found in passwords.values() for one in found if len(one) >= SHORTEST))
