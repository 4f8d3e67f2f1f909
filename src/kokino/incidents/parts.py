"""A file that a program and people write together.

The broker owns what lies between its marker comments, people own the rest:

    <!-- kokino:timeline 5f0c2a1b9d3e -->
    - 09:00 - Alert fired
    <!-- /kokino:timeline -->

The word behind the name is a hash of the text as the broker wrote it. While it still fits, the broker puts
a newer version in place of the old one. Once it does not, a person has changed the part: from then on it is
theirs, and whatever the broker has to add stands below it in a part of its own, ``timeline-record``. A part
whose markers were taken away is left away. Text outside markers is never touched.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

_PART = re.compile(
    r"<!-- kokino:(?P<name>[a-z-]+) (?P<hash>[0-9a-f]{12}) -->\n(?P<body>.*?)\n?<!-- /kokino:(?P=name) -->",
    re.DOTALL,
)
_RECORD = "-record"


def part(name: str, body: str) -> str:
    """`body` between the markers of the part `name`."""
    return f"<!-- kokino:{name} {_hash(body)} -->\n{body}\n<!-- /kokino:{name} -->"


def merged(existing: str, bodies: Mapping[str, str]) -> str:
    """`existing` with the newest `bodies` of its parts, by name; what people wrote stays."""
    unix = existing.replace("\r\n", "\n")
    has_record = {found["name"].removesuffix(_RECORD) for found in _PART.finditer(unix) if _is_record(found)}
    return _PART.sub(lambda found: _newer(found, bodies, has_record), unix)


def _newer(found: re.Match[str], bodies: Mapping[str, str], has_record: set[str]) -> str:
    name = found["name"].removesuffix(_RECORD)
    if name not in bodies:
        return found[0]
    body = _record(bodies[name]) if _is_record(found) else bodies[name]
    if _hash(found["body"]) == found["hash"]:
        return part(found["name"], body)
    if _is_record(found) or name in has_record or _hash(body) == found["hash"]:
        return found[0]
    return f"{found[0]}\n\n{part(name + _RECORD, _record(body))}"


def _is_record(found: re.Match[str]) -> bool:
    return found["name"].endswith(_RECORD)


def _record(body: str) -> str:
    return f"*Kokino's record, beside what was edited above:*\n\n{body}"


def _hash(body: str) -> str:
    """Of the text alone: an editor that trims line ends has changed nothing."""
    text = "\n".join(line.rstrip() for line in body.strip().splitlines())
    return hashlib.sha256(text.encode()).hexdigest()[:12]
