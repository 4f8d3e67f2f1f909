"""What CLI types and drivers may be called beside their real names."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

#: The short name of a CLI that people type, and its real one.
ALIASES = {"droid": "factory-droid"}


def in_full(name: str) -> str:
    """The real name of a CLI type or driver; what is no alias stays what it is."""
    return ALIASES.get(name, name)


#: A CLI type's name as somebody wrote it, in a file or a request.
CliTypeName = Annotated[str, AfterValidator(in_full)]
