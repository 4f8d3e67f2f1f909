"""How commands are explained and refused, where typer's own way reads badly."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from kokino.validation import plain


class Command(TyperCommand):
    """A command whose help fits any terminal, and whose refusals are sentences."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.help = flowing(self.help)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer does, without a validator's own words."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = plain(error.message)
            raise

    def get_params(self, ctx: Any) -> Any:
        """As typer does; a switch is not shown as if it took a value."""
        return switched(super().get_params(ctx))


class Group(TyperGroup):
    """Commands under one word."""

    def get_params(self, ctx: Any) -> Any:
        """As those of a command."""
        return switched(super().get_params(ctx))


def flowing(text: str | None) -> str | None:
    """`text` with the lines of each paragraph joined: they were broken for the source's width."""
    return text and "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def switched(params: Any) -> Any:
    """`params`, with no type behind the names of those that are given without a value."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params
