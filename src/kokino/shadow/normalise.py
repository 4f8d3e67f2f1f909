"""Take out of an answer what differs between two runs of the same thing.

Times, durations, ids and whitespace become the same on both sides. Numbers that are none of these stay: 42 is
not 43.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TIME, DURATION, ID = "<time>", "<duration>", "<id>"

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?"
_NUMBER = r"\d{1,2}(?:st|nd|rd|th)?"
#: ``9:00``, ``09:00:00.123``, ``9:00 PM``.
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[AaPp][Mm]\b)?"
_ZONE = r"(?:\s?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})(?!\w))?"
_DATES = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}",  # 2026-01-05
    r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}",  # 01/05/2026, 5.1.2026
    rf"{_MONTH}\s+{_NUMBER},?\s+\d{{4}}",  # January 5th, 2026
    rf"{_NUMBER}\.?\s+{_MONTH},?\s+\d{{4}}",  # 5 January 2026
)
_DATE = rf"(?:{_DAY},?\s+)?(?:{'|'.join(_DATES)})(?!\d)"
#: ``Mon Jan  5 09:00:00 UTC 2026``, as the command date writes it.
_SHELL = rf"{_DAY}\s+{_MONTH}\s+{_NUMBER}\s+{_CLOCK}(?:\s+[A-Z]{{2,5}})?\s+\d{{4}}"
#: Seconds, milli-, micro- or nanoseconds since 1970, from 2001 to 2286.
_EPOCH = r"[1-9]\d{9}(?:\d{3}){0,3}(?:\.\d+)?"
_UNIT = r"(?:ms|µs|us|ns|milliseconds?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|[smhd])"
_LENGTH = rf"\d+(?:[.,]\d+)?\s?{_UNIT}"

#: In this order: what comes first is not read as a part of something else.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # Colours and other words for a terminal.
    (re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)"), ""),
    # What an interactive CLI puts before the model's words.
    (re.compile(r"^[ \t]*(?:[●⏺•✻⎿][ \t]*)+", re.MULTILINE), ""),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), ID),
    (re.compile(rf"\b{_SHELL}\b"), TIME),
    (re.compile(rf"\b{_DATE}(?:(?:T|,?\s+(?:at\s+)?){_CLOCK}{_ZONE})?"), TIME),
    (re.compile(rf"(?<![\w:.]){_CLOCK}{_ZONE}(?![\w:])"), TIME),
    (re.compile(rf"(?<![\w.]){_EPOCH}(?!\w)"), TIME),
    # Ids with a prefix, such as toolu_01AbCdEf: a digit must be in them, or words would be ids.
    (re.compile(r"\b[a-z]{2,10}_(?=[A-Za-z]*\d)[A-Za-z0-9]{8,}\b"), ID),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), ID),
    # Hashes: hexadecimal digits of which some are letters and some are not.
    (re.compile(r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,64}\b"), ID),
    (re.compile(r"\b(pid|PID)([ =:#]+)\d+\b"), rf"\1\2{ID}"),
    (re.compile(rf"(?<![\w.,]){_LENGTH}(?:\s?{_LENGTH})*(?!\w)"), DURATION),
    (re.compile(r"\s+"), " "),
)


def normalised(text: str) -> str:
    """`text` without what may differ. What is normal stays as it is, however often this is asked."""
    while (again := _pass(text)) != text:
        text = again
    return text


def relocated(text: str, places: Mapping[str, str]) -> str:
    """`text` with each of the paths in `places` replaced by another, where it stands as a whole."""
    for old, new in places.items():
        # A backslash in a replacement would be an escape.
        text = re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w-])", new.replace("\\", r"\\"), text)
    return text


def _pass(text: str) -> str:
    for pattern, word in _RULES:
        text = pattern.sub(word, text)
    return text.strip()
