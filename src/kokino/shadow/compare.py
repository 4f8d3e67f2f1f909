"""Compare what two sides came to: outcome, files, text as it is, text normalised, and how alike it is."""

from __future__ import annotations

from rapidfuzz.distance import Indel

from kokino.shadow.model import Changed, Finding, Layer, Result, Verdict
from kokino.shadow.normalise import normalised

#: Similarity from which on two answers are the same, where an agent says nothing else.
THRESHOLD = 0.95
#: Answers up to so many letters are measured letter by letter (10 ms), longer ones word by word, and only as
#: far as the threshold asks (a second for the longest): the time grows with the product of both lengths.
LETTERS = 20_000
#: Longer ones are the same letter by letter or they are not: to normalise those took a minute.
LONGEST = 1_000_000
#: A reason names so many files.
NAMED = 3


def compare(tmux: Result, headless: Result, *, threshold: float = THRESHOLD) -> Finding:
    """The verdict of the first layer that can tell."""
    return (
        _by_outcome(tmux, headless)
        or _by_files(tmux.changed, headless.changed)
        or _by_text(tmux.content, headless.content, threshold)
    )


def _by_outcome(tmux: Result, headless: Result) -> Finding | None:
    if (tmux.state, tmux.kind) != (headless.state, headless.kind):
        reason = f"tmux {_ended(tmux)}, headless {_ended(headless)}"
        return Finding(verdict=Verdict.MISMATCH, layer=Layer.OUTCOME, reason=reason)
    if tmux.kind is not None:
        reason = f"both {_ended(tmux)}"
        return Finding(verdict=Verdict.MATCH, layer=Layer.OUTCOME, reason=reason)
    return None


def _ended(side: Result) -> str:
    return side.state if side.kind is None else f"{side.state} ({side.kind})"


def _by_files(tmux: Changed | None, headless: Changed | None) -> Finding | None:
    if tmux is None or headless is None:
        return None
    differing = sorted(path for path in {*tmux, *headless} if _hash(tmux, path) != _hash(headless, path))
    if not differing:
        return None
    more = f" and {len(differing) - NAMED} more" if len(differing) > NAMED else ""
    reason = f"files differ: {', '.join(differing[:NAMED])}{more}"
    return Finding(verdict=Verdict.MISMATCH, layer=Layer.FILES, reason=reason)


def _hash(changed: Changed, path: str) -> str | None:
    """What is there now; a file that this side left alone is unlike one that it removed."""
    return changed.get(path, "unchanged")


def _by_text(tmux: str, headless: str, threshold: float) -> Finding:
    if tmux == headless:
        return Finding(
            verdict=Verdict.MATCH, layer=Layer.EXACT, reason="the same, letter by letter", similarity=1.0
        )
    if max(len(tmux), len(headless)) > LONGEST:
        return Finding(
            verdict=Verdict.MISMATCH,
            layer=Layer.SIMILARITY,
            reason=f"not the same, and of more than {LONGEST:,} characters, of which no more is asked",
        )
    first, second = normalised(tmux), normalised(headless)
    if first == second:
        return Finding(
            verdict=Verdict.MATCH,
            layer=Layer.NORMALISED,
            reason="the same but for times, durations, ids or whitespace",
            similarity=1.0,
        )
    return _by_similarity(first, second, threshold)


def _by_similarity(first: str, second: str, threshold: float) -> Finding:
    found = similarity(first, second, threshold)
    is_match = found is not None and found >= threshold
    asked = f"{_percent(threshold)} {'are asked for' if is_match else 'are needed'}"
    return Finding(
        verdict=Verdict.MATCH if is_match else Verdict.MISMATCH,
        layer=Layer.SIMILARITY,
        reason=f"{'less' if found is None else _percent(found)} alike; {asked}",
        similarity=None if found is None else round(found, 4),
    )


def similarity(first: str, second: str, threshold: float = 0.0) -> float | None:
    """How much of both is in both, in order: 0 to 1, the same whichever comes first.

    None for long answers that are less alike than `threshold`: by how much is not worth the time.
    """
    longest = max(len(first), len(second))
    if longest <= LETTERS:
        return float(Indel.normalized_similarity(first, second))
    found = float(Indel.normalized_similarity(first.split(), second.split(), score_cutoff=threshold))
    return found if found >= threshold else None


def _percent(share: float) -> str:
    """Rounded down: what is under a threshold never reads as if it reached it."""
    return f"{int(share * 1000) / 10:g} %"
