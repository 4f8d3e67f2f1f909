"""In what the agents of a CLI type are started: those that are started alike are looked at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kokino.agents.environment import environment_of
from kokino.agents.model import Agent, CliType
from kokino.doctor.model import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Agents of one CLI type with the same environment."""

    cli_type: CliType
    #: None of them where nobody uses the CLI type.
    agents: tuple[Agent, ...]
    #: What the broker would start them with.
    env: Mapping[str, str]
    #: Where a CLI is tried out: the first agent's folder, else the broker's home.
    cwd: Path

    @property
    def names(self) -> str:
        """The agents, for people."""
        return ", ".join(agent.agent_id for agent in self.agents)


def settings_of(
    cli_type: CliType, agents: Sequence[Agent], inherited: Mapping[str, str], home: Path
) -> list[Setting]:
    """The different environments in which the CLI type is started; one where it has no agents."""
    # By what comes out, not by what each agent adds: one that repeats what it inherits is started alike.
    alike: dict[tuple[tuple[str, str], ...], list[Agent]] = {}
    for agent in agents:
        if agent.cli_type == cli_type.name:
            env = environment_of(inherited, cli_type, agent.env)
            alike.setdefault(tuple(sorted(env.items())), []).append(agent)
    if not alike:
        return [Setting(cli_type=cli_type, agents=(), env=environment_of(inherited, cli_type), cwd=home)]
    return [
        Setting(cli_type=cli_type, agents=tuple(group), env=dict(env), cwd=group[0].cwd)
        for env, group in alike.items()
    ]


def together(found: Iterable[tuple[Setting, Check]]) -> Check:
    """One check out of those of several settings: it fails where one of them does, and says for whom."""
    pairs = list(found)
    told = [pair for pair in pairs if not pair[1].passed] or pairs
    first = next((check for _, check in told if check.is_required), told[0][1])
    texts = dict.fromkeys(_text(*pair, is_alone=len(pairs) == 1) for pair in told)
    if all(check.message == first.message for _, check in pairs):
        texts = dict.fromkeys([first.message])
    return replace(
        first,
        message="; ".join(texts),
        # One line to paste, whatever it takes: what mends it for one mends it for no other.
        mend=" && ".join(dict.fromkeys(check.mend for _, check in told if check.mend)) or None,
        warnings=tuple(dict.fromkeys(text for _, check in pairs for text in check.warnings)),
    )


def _text(setting: Setting, check: Check, *, is_alone: bool) -> str:
    whose = f"{setting.names}: "
    return check.message if is_alone or check.message.startswith(whose) else f"{whose}{check.message}"
