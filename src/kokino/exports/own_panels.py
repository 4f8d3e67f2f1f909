"""What the broker costs, and whether it does its own work: the last row of the dashboard."""

from __future__ import annotations

from kokino.exports import queries
from kokino.exports.panels import GREEN, RED, Panel, Query, chart

#: Wide enough for two scrapes, whatever the interval.
_RATE = "5m"


def own_panels() -> list[Panel]:
    """Its duties first, its process last."""
    return [*_duties(), *_storage(), *_process()]


def _rate(counter: str) -> str:
    return f"rate({queries.of(counter)}[{_RATE}])"


def _duties() -> list[Panel]:
    return [
        chart(
            "Alert rules wait",
            [Query(queries.of("kokino_alert_evaluation_lag_seconds"), "{{instance}}")],
            "How long the rule that is due longest waits to be looked at. Over a minute it pages too late.",
            unit="s",
            width=8,
            lowest=0,
            steps=((None, GREEN), (60, RED)),
        ),
        chart(
            "Messages wait",
            [Query(queries.of("kokino_outbox_oldest_age_seconds"), "{{instance}}")],
            "How long the oldest message to people waits. Over two minutes a receiver does not take it.",
            unit="s",
            width=8,
            lowest=0,
            steps=((None, GREEN), (120, RED)),
        ),
        chart(
            "Deliveries that were not accepted",
            [
                Query(
                    f"sum by (receiver, reason) ({_rate('kokino_delivery_attempt_failures_total')})",
                    "{{receiver}}: {{reason}}",
                )
            ],
            "Attempts a second, by receiver and reason.",
            unit="ops",
            width=8,
            lowest=0,
        ),
        chart(
            "What does not work",
            [
                Query(f"{queries.of('kokino_engine_module_up')} == 0", "{{module}}"),
                Query(f"{queries.of('kokino_warden_up')} == 0", "warden"),
                Query(f"{queries.of('kokino_storage_up')} == 0", "database"),
                Query(f"{queries.of('kokino_heartbeat_up')} == 0", "heartbeat"),
            ],
            "Parts of the engine that failed in their last run, the warden, the database, the heartbeat.",
            width=8,
        ),
        chart(
            "Time that the engine takes",
            [Query(f"sum by (module) ({_rate('kokino_engine_module_seconds_total')})", "{{module}}")],
            "Seconds a second, by module.",
            unit="percentunit",
            width=8,
            lowest=0,
        ),
    ]


def _storage() -> list[Panel]:
    buckets = f"sum by (le) (rate({queries.of('kokino_storage_commit_seconds_bucket')}[{_RATE}]))"
    return [
        chart(
            "Commits",
            [
                Query(f"histogram_quantile(0.5, {buckets})", "p50"),
                Query(f"histogram_quantile(0.99, {buckets})", "p99"),
            ],
            "How long transactions took, from their begin to the end of their commit.",
            unit="s",
            width=8,
            lowest=0,
        ),
        chart(
            "Writes that wait",
            [Query(queries.of("kokino_storage_writes_waiting"), "{{instance}}")],
            "For the one writer: many may share a commit.",
            width=8,
            lowest=0,
        ),
        chart(
            "Disk for output",
            [Query(queries.of("kokino_spool_bytes"), "{{instance}}")],
            "What agents have written and nobody has recorded yet.",
            unit="bytes",
            width=8,
            lowest=0,
        ),
    ]


def _process() -> list[Panel]:
    return [
        chart(
            "Memory of the process",
            [Query(queries.of("process_resident_memory_bytes"), "{{instance}}")],
            "Of the broker alone, without the agents.",
            unit="bytes",
            width=8,
            lowest=0,
        ),
        chart(
            "CPU",
            [Query(_rate("process_cpu_seconds_total"), "{{instance}}")],
            "Of the broker alone; 1 is a whole core.",
            width=8,
            lowest=0,
        ),
        chart(
            "Open files",
            [
                Query(
                    f"{queries.of('process_open_fds')} / {queries.of('process_max_fds')}",
                    "{{instance}}",
                )
            ],
            "Of those that it may open.",
            unit="percentunit",
            width=8,
            lowest=0,
        ),
    ]
