"""A playbook as a page: its Markdown, with each step marked as what it is."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

from kokino.playbooks.model import Playbook, Step

_FENCE = "---"


def to_html(playbook: Playbook) -> Markup:
    """The document without its front matter. Raw HTML in it is shown, not taken for HTML."""
    steps = {step.line: step for step in playbook.steps}
    markdown, env = _markdown(), {"steps": steps}
    tokens = markdown.parse(_body(playbook.text), env)
    _lower_headings(tokens)
    return Markup(markdown.renderer.render(tokens, markdown.options, env))  # noqa: S704 - markdown-it escapes


def _body(text: str) -> str:
    """`text` with its front matter blanked out: the lines keep their numbers, by which steps are known."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != _FENCE:
        return text
    end = next((number for number, line in enumerate(lines[1:], 1) if line.strip() == _FENCE), 0)
    return "\n".join([""] * (end + 1) + lines[end + 1 :])


class _Renderer(RendererHTML):
    """Shows a step with its name and what it may do; gives wide tables room of their own."""

    def fence(
        self, tokens: Sequence[Token], idx: int, _options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        """A fenced block; where a step stands on its line, the step."""
        token = tokens[idx]
        step: Step | None = env["steps"].get(token.map[0] + 1) if token.map else None
        code = Markup("<pre tabindex='0'><code>{}</code></pre>\n").format(token.content.rstrip())
        return code if step is None else _step(step, code)

    def table_open(self, *_args: Any) -> str:
        """It scrolls by itself where the page is narrow."""
        return "<div class='scroll' tabindex='0'><table>\n"

    def table_close(self, *_args: Any) -> str:
        """The end of both."""
        return "</table></div>\n"


@cache
def _markdown() -> MarkdownIt:
    # No images: the page asks no other host for anything.
    markdown = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer)
    return markdown.enable("table").disable("image")


def _lower_headings(tokens: Sequence[Token]) -> None:
    """Make room for the page's own first-level heading, and let headings be linked to."""
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", tokens[at + 1].content.lower().replace(" ", "-"))
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"


def _step(step: Step, code: str) -> str:
    chips = Markup(" ").join(Markup("<span class='chip'>{}</span>").format(one) for one in _chips(step))
    return Markup(
        "<figure class='step effect-{}' id='step-{}'><figcaption><b>{}</b> {}</figcaption>{}</figure>\n"
    ).format(step.effect.value, step.id, step.id, chips, code)


def _chips(step: Step) -> list[str]:
    """What a person should know of a step before it runs."""
    chips = [step.effect.value, step.run.value, f"stopped after {step.timeout.total_seconds():g} s"]
    if step.undo:
        chips.append(f"undone by {step.undo}")
    if step.limit:
        chips.append(f"at most {step.limit.times} in {step.limit.per.total_seconds() / 3600:g} h")
    return chips
