"""Write docs/configuration.md, docs/api.md and monitoring/ from the code, so that they tell what it does.

`make docs` runs it; a test compares what it would write with what is there.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kokino.agents.settings import AgentSettings, CliTypeSettings, LimitSettings
from kokino.api.app import ROUTERS
from kokino.app.settings import (
    AlertingSettings,
    CalendarSettings,
    FallbackSettings,
    ProcessSettings,
    ServerSettings,
    SessionSettings,
    ShadowSettings,
    StorageSettings,
)
from kokino.cli.client import DEFAULT_URL
from kokino.doctor.settings import DoctorSettings
from kokino.exports import written
from kokino.integrity.settings import IntegritySettings

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[server]", ServerSettings),
    ("[storage]", StorageSettings),
    ("[process]", ProcessSettings),
    ("[sessions]", SessionSettings),
    ("[alerting]", AlertingSettings),
    ("[integrity]", IntegritySettings),
    ("[doctor]", DoctorSettings),
    ("[fallback]", FallbackSettings),
    ("[calendar]", CalendarSettings),
    ("[shadow]", ShadowSettings),
    ("[cli_types.NAME]", CliTypeSettings),
    ("[[agents]]", AgentSettings),
    ("limits of [[agents]]", LimitSettings),
)

CONFIGURATION = """# Configuration

One file, `kokino.toml` in the broker's home: `--home`, else `$KOKINO_HOME`, else `~/.kokino`.
Without a file everything has its default.
Whatever is wrong in it is said at once, with its line, and the broker does not start.
This page is written by `make docs` from the code.

Lengths of time are written `"90s"`, `"5m"`, `"1h"`. `KOKINO_DATABASE_URL` goes before `storage.url`.
Agents inherit the broker's environment without its `KOKINO_*` variables and without those that settings
ending in `_env` name.
"""

RECEIVERS = """
## `[receivers.NAME]` and `[owners."@name"]`

See [notifications](notifications.md).
"""

API = """# The HTTP API

The broker answers on `http://127.0.0.1:5050`.
This page is written by `make docs` from the code; the whole schema is at `/openapi.json`.

Answers are JSON with camelCase names and times in UTC.
A list that can grow takes `limit` and `cursor` and answers `{items, nextCursor}`.
What goes wrong is answered as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)
`application/problem+json` with a word in `error`, for machines, and in `detail` what to do next, for people:

```json
{"type": "https://kokino.dev/problems/not-found", "title": "Not Found", "status": 404,
 "error": "not_found",
 "detail": "there is no agent 'writr'; GET /agents lists them, POST /agents/register adds one"}
```

On loopback this machine's user needs no token. `kokino token NAME` makes one for others, sent as
`Authorization: Bearer TOKEN`. One thing always needs a token, with the scope `admin`: to register an agent
whose CLI is told to ask nobody, its own or its fallback's, or to disable a CLI type towards such a one while
agents that ask would be moved there. `kokino token NAME --scope admin` makes it; in `kokino.toml` no token is
needed.

## Asking again

What `POST /agents/{agent_id}/execute` has accepted is durable and comes to an end, whatever its caller does.
A caller that does not know what became of its request, because the connection broke or the broker was
restarted, repeats it under the same key:

```sh
curl -s http://127.0.0.1:5050/agents/reviewer/execute -H 'Content-Type: application/json' \\
    -H 'Idempotency-Key: build-17' -d '{"prompt": "Review the last commit."}'
```

The same key and body for the same agent are the same execution: while it runs the caller waits for it, or
gets its 202 with `Prefer: respond-async`; after its end the caller gets the same answer, a failure too.
Such an answer carries `Idempotent-Replayed: true`. To run a failed request anew, choose a new key.
What was refused has run nothing, be it at once with 503, or with 409 and `lock_timeout` after a wait in the
queue: its key is free, and may be used again after `Retry-After`.
Another body under a key that is taken is refused with 422, which names the execution that has it.
A key is 1 to 255 visible ASCII characters, and is remembered for 24 hours at least, or until its agent is
deleted.

An execution whose caller goes away goes on, because it was accepted.
With `"cancelOnDisconnect": true` in the body it is cancelled when no caller waits for it any more.
"""


def configuration() -> str:
    """The text of docs/configuration.md."""
    return "\n".join([CONFIGURATION, *(_section(name, model) for name, model in SECTIONS)]) + RECEIVERS


def _section(name: str, model: type[BaseModel]) -> str:
    about = (model.__doc__ or "").split(": ", 1)[-1].strip()
    rows = "\n".join(_row(key, field) for key, field in model.model_fields.items())
    head = "| Setting | Value | Default | Meaning |\n|---|---|---|---|"
    return f"## `{name}`\n\n{about[0].upper()}{about[1:]}\n\n{head}\n{rows}\n"


def _row(key: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else _default(field.default)
    return f"| `{key}` | {_kind(field.annotation)} | {default} | {field.description} |"


def _default(value: Any) -> str:
    match value:
        case None | [] | {}:
            return ""
        case timedelta():
            days, rest = divmod(value, timedelta(days=1))
            return f'`"{days}d"`' if days and not rest else f'`"{int(value.total_seconds())}s"`'
        case bool():
            return f"`{str(value).lower()}`"
        case BaseModel():
            return "as below"
        case StrEnum() | str():
            return f'`"{value}"`'
        case _:
            return f"`{value}`"


def _kind(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f'`"{word}"`' for word in arguments)
    if origin is typing.Annotated:
        return _kind(arguments[0])
    if origin in {typing.Union, types.UnionType}:
        return _kind(next(argument for argument in arguments if argument is not type(None)))
    if origin is list:
        return "list of texts"
    if origin is dict:
        return f"table of {_kind(arguments[1])}s{_range(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(f'`"{word}"`' for word in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    return {
        bool: "`true` or `false`",
        int: "number",
        float: "number",
        str: "text",
        Path: "path",
        timedelta: "length of time",
    }.get(annotation, "value")


def _range(annotation: Any) -> str:
    """`` from 0 to 10`` for a number that is bound to that."""
    bounds = [
        bound for data in getattr(annotation, "__metadata__", ()) for bound in getattr(data, "metadata", ())
    ]
    low = next((bound.ge for bound in bounds if hasattr(bound, "ge")), None)
    high = next((bound.le for bound in bounds if hasattr(bound, "le")), None)
    return "" if low is None or high is None else f" from {low} to {high}"


def api() -> str:
    """The text of docs/api.md."""
    return "\n".join([API, *_chapters()])


def _chapters() -> Iterator[str]:
    chapters: dict[str, list[str]] = {}
    for router in ROUTERS:
        routes = [route for route in router.routes if getattr(route, "include_in_schema", False)]
        chapters.setdefault(str(router.tags[0]), []).extend(map(_line, routes))
    for tag, lines in chapters.items():
        title = {"slo": "Service levels"}.get(tag, tag.capitalize())
        yield "\n".join([f"## {title}\n\n| Request | What it does |\n|---|---|", *lines, ""])


def _line(route: Any) -> str:
    return f"| `{' '.join(sorted(route.methods))} {route.path}` | {_told(route)} |"


def _told(route: Any) -> str:
    return " ".join((route.endpoint.__doc__ or "").split()).replace("``", "`")


def monitoring() -> dict[str, str]:
    """The text of each file under monitoring/: what `kokino export` writes of what ships."""
    rules = written.prometheus(None, public_url=DEFAULT_URL)
    return {"prometheus/kokino.rules.yaml": rules.text, "grafana/kokino.json": written.grafana(None).text}


def main() -> None:
    """Write all of them."""
    for name, text in monitoring().items():
        (ROOT / "monitoring" / name).write_text(text, encoding="utf-8")
    (DOCS / "configuration.md").write_text(configuration(), encoding="utf-8")
    (DOCS / "api.md").write_text(api(), encoding="utf-8")


if __name__ == "__main__":
    main()
