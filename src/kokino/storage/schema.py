"""Every table. Which noun's ``store`` reads and writes it stands above each group."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from kokino.storage.types import Document, Instant, Serial

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def _id(name: str, **options: Any) -> Column[str]:
    return Column(name, String(160), **options)


# One row for each fact about this installation: its id, for one.
installation = Table(
    "installation",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# --- agents ------------------------------------------------------------------------------------------

agents = Table(
    "agents",
    metadata,
    _id("agent_id", primary_key=True),
    _id("cli_type", nullable=False),
    Column("cwd", Text, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("model", Text),
    Column("env", Document, nullable=False),
    Column("flags", Document, nullable=False),
    Column("limits", Document, nullable=False),
    Column("fallback", String(160)),
    # NULL for what the CLI type says.
    Column("breaker_fallback", Boolean),
    Column("account", String(300), nullable=False),
    _id("pool", nullable=False),
    # {failure kind: how many times more}.
    Column("retries", Document),
    # How a CLI that asks for permission is answered: "ask", "allow" or "reject".
    Column("permissions", String(16), nullable=False, server_default="ask"),
    # In mode "shadow": which share is compared, and from which similarity on two answers are the same.
    Column("shadow_sample", Float, nullable=False, server_default="1"),
    Column("shadow_threshold", Float, nullable=False, server_default="0.95"),
    # "config" or "api": what the file no longer names goes, what the API registered stays.
    Column("source", String(16), nullable=False),
    Column("registered_at", Instant, nullable=False),
)

# The vendor's session that an agent resumes, one for each CLI type that it has run on.
sessions = Table(
    "sessions",
    metadata,
    _id("agent_id", primary_key=True),
    _id("cli_type", primary_key=True),
    Column("session_id", Text, nullable=False),
    _id("conversation_id", nullable=False),
    # False until the CLI has confirmed it: before that there is nothing to resume.
    Column("is_established", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("used_at", Instant, nullable=False),
    # What the CLI last said that the whole session took, where it counts so: {tokens by name, "costUsd"}.
    Column("taken", Document),
)

# The lock lets one execution of an agent run at a time. The token only grows: a holder that was
# thought dead and wakes up late cannot release its successor's lock.
agent_locks = Table(
    "agent_locks",
    metadata,
    _id("agent_id", primary_key=True),
    Column("token", BigInteger, nullable=False),
    _id("execution_id"),
    Column("locked_at", Instant),
    # When a LOCK_TIMEOUT was told of this holder: once is enough.
    Column("overdue_at", Instant),
)

# What each agent's failures in a row have come to, by the CLI type that it failed on.
circuits = Table(
    "circuits",
    metadata,
    _id("agent_id", primary_key=True),
    _id("cli_type", primary_key=True),
    # closed, open or half_open.
    Column("state", String(16), nullable=False),
    # Counted failures in a row.
    Column("failures", Integer, nullable=False),
    Column("last_failure_at", Instant),
    Column("last_kind", String(32)),
    Column("opened_at", Instant),
    # When one execution may try whether it works again.
    Column("retry_at", Instant),
    # The execution that tries it.
    _id("trial_execution_id"),
)

fallbacks = Table(
    "fallbacks",
    metadata,
    _id("cli_type", primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", Instant, nullable=False),
    # Where the agents of this CLI type go meanwhile, unless their own `fallback` says otherwise.
    _id("target"),
    Column("set_by", Text, nullable=False),
    Column("probe_due_at", Instant),
    Column("probes_good", Integer, nullable=False),
    _id("probe_execution_id"),
    Column("probe_last_at", Instant),
    Column("probe_last_outcome", Text),
)

# Agents that are sent elsewhere by name; as `fallbacks` for a whole CLI type.
agent_fallbacks = Table(
    "agent_fallbacks",
    metadata,
    _id("agent_id", primary_key=True),
    _id("cli_type", nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Instant, nullable=False),
    _id("target"),
    Column("set_by", Text, nullable=False),
    # A circuit breaker did it: good probes alone undo it.
    Column("is_automatic", Boolean, nullable=False),
    Column("probe_due_at", Instant),
    Column("probes_good", Integer, nullable=False),
    _id("probe_execution_id"),
    Column("probe_last_at", Instant),
    Column("probe_last_outcome", Text),
)

pauses = Table(
    "pauses",
    metadata,
    Column("scope", String(16), primary_key=True),
    Column("scope_id", String(300), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("set_by", Text, nullable=False),
    # When it lifts itself: an account whose quota is full again. NULL until somebody lifts it.
    Column("ends_at", Instant),
)

# --- executions --------------------------------------------------------------------------------------

executions = Table(
    "executions",
    metadata,
    # Order of acceptance: first come, first served. The database counts; a number is never given twice.
    Column("number", Serial, primary_key=True, autoincrement=True),
    _id("execution_id", nullable=False, unique=True),
    _id("agent_id", nullable=False),
    # The CLI type and account that it ran on, which a fallback may have changed.
    _id("cli_type", nullable=False),
    Column("account", String(300), nullable=False),
    Column("mode", String(16), nullable=False),
    _id("pool", nullable=False),
    Column("state", String(16), nullable=False),
    Column("kind", String(32)),
    Column("error", Text),
    # NULL for users' work, else "probe", "shadow" or "drill".
    Column("label", String(16)),
    Column("moved_from", String(160)),
    Column("prompt", Text, nullable=False),
    Column("metadata", Document, nullable=False),
    _id("conversation_id"),
    Column("session_id", Text),
    Column("driver", String(64)),
    Column("is_resume", Boolean),
    Column("timeout_ms", BigInteger, nullable=False),
    Column("queue_timeout_ms", BigInteger, nullable=False),
    Column("queued_at", Instant, nullable=False),
    # When it will have waited as long as it may: `queued_at` and its queue timeout.
    Column("queue_ends_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("cancel_requested_at", Instant),
    Column("lock_token", BigInteger),
    Column("pid", Integer),
    Column("exit_code", Integer),
    Column("exit_signal", Integer),
    Column("content", Text),
    Column("usage", Document),
    Column("cost_usd", Float),
    Column("cli_version", Text),
    # How often a process was started for it: more than once after a replaced session or a retry.
    Column("attempts", Integer, nullable=False, server_default="0"),
    # How often it got a new session for one that its CLI had forgotten, and another try after a failure.
    Column("replaced", Integer, nullable=False, server_default="0"),
    Column("retried", Integer, nullable=False, server_default="0"),
    # What its process tree took: the most memory at one time, and processor time.
    Column("peak_memory_bytes", BigInteger),
    Column("cpu_ms", BigInteger),
    # What it changed in the git repository that it ran in; from its start on what that was before.
    Column("changes", Document),
    Column("waiting", Document),
    Index(None, "agent_id", "number"),
    Index(None, "state", "number"),
    # Few are unfinished of all that an agent ever ran; each submission asks for them.
    Index(None, "agent_id", "state", "number"),
    Index(None, "state", "queue_ends_at"),
    Index(None, "ended_at"),
    sqlite_autoincrement=True,
)

records = Table(
    "records",
    metadata,
    Column(
        "execution_id",
        String(160),
        ForeignKey("executions.execution_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True),
    Column("stream", String(8), nullable=False),
    Column("body", Text, nullable=False),
    # Length of the line before it was cut to what we keep.
    Column("size", BigInteger, nullable=False),
    Column("written_at", Instant, nullable=False),
    # Which of the execution's processes wrote it, from 1, and where in that one's stream the line begins.
    Column("attempt", Integer, nullable=False, server_default="1"),
    Column("begins_at", BigInteger),
)

# Callers that repeat a request under the same key get the same execution.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    _id("agent_id", primary_key=True),
    Column("key", String(255), primary_key=True),
    # sha256 of the request's body.
    Column("body_hash", String(64), nullable=False),
    _id("execution_id", nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "created_at"),
)

# --- conversations -----------------------------------------------------------------------------------

conversations = Table(
    "conversations",
    metadata,
    _id("conversation_id", primary_key=True),
    _id("agent_id", nullable=False),
    Column("started_at", Instant, nullable=False),
    Index(None, "agent_id", "started_at"),
)

turns = Table(
    "turns",
    metadata,
    _id("turn_id", primary_key=True),
    Column(
        "conversation_id",
        String(160),
        ForeignKey("conversations.conversation_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("number", Integer, nullable=False),
    _id("execution_id"),
    Column("role", String(16), nullable=False),
    Column("content", Text, nullable=False),
    Column("said_at", Instant, nullable=False),
    UniqueConstraint("conversation_id", "number"),
    Index(None, "execution_id"),
)

# --- telemetry ---------------------------------------------------------------------------------------

events = Table(
    "events",
    metadata,
    Column("event_id", Serial, primary_key=True, autoincrement=True),
    Column("type", String(64), nullable=False),
    Column("at", Instant, nullable=False),
    _id("agent_id"),
    _id("cli_type"),
    Column("account", String(300)),
    _id("execution_id"),
    Column("label", String(16)),
    # How an execution ended, for the events that tell of one's end.
    Column("state", String(16)),
    Column("kind", String(32)),
    Column("duration_ms", BigInteger),
    # Peak of the process tree, and what its CLI type should stay under, in MiB.
    Column("memory_mb", Integer),
    Column("memory_slo_mb", Integer),
    Column("message", Text),
    Column("data", Document),
    Index(None, "at"),
    Index(None, "type", "at"),
    Index(None, "agent_id", "at"),
)

# The last event of each type that tells of an agent and a CLI type ("" where it tells of none): whether
# something is so now is answered by two rows, whatever happened before. Labelled events are not among them.
latest_events = Table(
    "latest_events",
    metadata,
    Column("type", String(64), primary_key=True),
    _id("agent_id", primary_key=True),
    _id("cli_type", primary_key=True),
    Column("at", Instant, nullable=False),
    Column("event_id", BigInteger, nullable=False),
)

# What Alertmanagers last said of each of their alerts.
received_alerts = Table(
    "received_alerts",
    metadata,
    # Hash of the labels.
    Column("fingerprint", String(64), primary_key=True),
    Column("labels", Document, nullable=False),
    Column("is_firing", Boolean, nullable=False),
    # When it began to fire, by the clock there.
    Column("since", Instant, nullable=False),
    # When that was said, by the clock here.
    Column("at", Instant, nullable=False),
    Column("summary", Text, nullable=False),
    Column("link", Text),
    Index(None, "is_firing", "at"),
    Index(None, "at"),
)

# Sums of what counts for service levels, kept up to date in the transaction of each event
# (docs/decisions/0002).
rollups = Table(
    "rollups",
    metadata,
    # "all", "cli" or "agent" for executions, "shadow", "checks"; only "cli" and "agent" have ids.
    Column("scope", String(8), primary_key=True),
    Column("scope_id", String(160), primary_key=True),
    # "minute", "hour" or "day", starting on those of UTC; "ever" is one row from 1970 that is never deleted.
    Column("grain", String(8), primary_key=True),
    Column("bucket_at", Instant, primary_key=True),
    Column("good", BigInteger, nullable=False),
    Column("bad", BigInteger, nullable=False),
    # {state: count}, cancelled ones too.
    Column("states", Document, nullable=False),
    # {kind: count} of the bad ones.
    Column("kinds", Document, nullable=False),
    # {upper edge in ms: count} of durations, see telemetry.histogram.
    Column("durations", Document, nullable=False),
    Column("duration_sum_ms", BigInteger, nullable=False),
    Column("duration_max_ms", BigInteger, nullable=False),
    # Process trees whose peak stayed within what their CLI type should, or not; and the sum of the peaks.
    Column("memory_within", BigInteger, nullable=False, server_default="0"),
    Column("memory_over", BigInteger, nullable=False, server_default="0"),
    Column("memory_sum_mb", BigInteger, nullable=False, server_default="0"),
    Index(None, "scope", "grain", "bucket_at"),
)

# --- integrity ---------------------------------------------------------------------------------------

# What each check of this database came to.
integrity_checks = Table(
    "integrity_checks",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    _id("check_id", nullable=False, unique=True),
    # nightly, asked or cleanup.
    Column("cause", String(16), nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("took_ms", BigInteger, nullable=False),
    Column("conversations", BigInteger, nullable=False),
    Column("turns", BigInteger, nullable=False),
    # Conversations with at least one fault.
    Column("affected", BigInteger, nullable=False),
    # Findings; the rows by kind, all of them and those that a cleanup may put right; the first findings.
    Column("total", BigInteger, nullable=False),
    Column("counts", Document, nullable=False),
    Column("repairable", Document, nullable=False),
    Column("findings", Document, nullable=False),
    Column("not_checked", Document, nullable=False),
    # Foreign turns that were left alone, for somebody accepted them.
    Column("accepted", BigInteger, nullable=False, server_default="0"),
    Index(None, "started_at"),
)

# Turns that no execution of ours accounts for, and that a person took as they are.
accepted_turns = Table(
    "accepted_turns",
    metadata,
    Column(
        "turn_id",
        String(160),
        ForeignKey("turns.turn_id", ondelete="CASCADE"),
        primary_key=True,
        nullable=False,
    ),
    Column("accepted_at", Instant, nullable=False),
    Column("accepted_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

# --- shadow ------------------------------------------------------------------------------------------

# One prompt that ran both ways: by tmux for its caller, and headless beside it.
comparisons = Table(
    "comparisons",
    metadata,
    _id("execution_id", primary_key=True),
    # NULL where it was meant to run and could not be begun.
    _id("shadow_execution_id"),
    _id("agent_id", nullable=False),
    _id("cli_type", nullable=False),
    Column("account", String(300), nullable=False),
    # NULL for users' work.
    Column("label", String(16)),
    _id("conversation_id"),
    Column("began_at", Instant, nullable=False),
    # When it was judged; NULL while a side runs.
    Column("ended_at", Instant),
    # The real directory that the snapshot was taken of.
    Column("root", Text, nullable=False),
    # fresh, fork or continue.
    Column("context", String(16)),
    Column("threshold", Float, nullable=False),
    # {path: hash, or null where it is gone} of what the tmux side changed.
    Column("changed", Document),
    # Why the broker ended the shadow side.
    Column("cut_off", Text),
    # match, mismatch or not_compared, the layer that decided, and why.
    Column("verdict", String(16)),
    Column("layer", String(16)),
    Column("reason", Text),
    Column("similarity", Float),
    Column("is_regression", Boolean, nullable=False),
    Column("difference", Text),
    # What each side came to and took: executions are not kept for as long.
    Column("tmux_state", String(16)),
    Column("tmux_kind", String(32)),
    Column("tmux_error", Text),
    Column("tmux_duration_ms", BigInteger),
    Column("tmux_peak_memory_bytes", BigInteger),
    Column("tmux_cost_usd", Float),
    Column("headless_state", String(16)),
    Column("headless_kind", String(32)),
    Column("headless_error", Text),
    Column("headless_duration_ms", BigInteger),
    Column("headless_peak_memory_bytes", BigInteger),
    Column("headless_cost_usd", Float),
    Index(None, "ended_at"),
    Index(None, "agent_id", "ended_at"),
    Index(None, "conversation_id"),
    Index(None, "verdict", "ended_at"),
)

# One row while shadow mode is switched off for all agents.
shadow_switch = Table(
    "shadow_switch",
    metadata,
    Column("switch", String(16), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("set_by", Text, nullable=False),
)

# --- alerts ------------------------------------------------------------------------------------------

alerts = Table(
    "alerts",
    metadata,
    _id("alert_id", primary_key=True),
    _id("rule_id", nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("labels", Document, nullable=False),
    Column("state", String(16), nullable=False),
    # One from firing to resolved; a new firing gets a new one.
    _id("episode_id"),
    Column("since", Instant, nullable=False),
    Column("pending_at", Instant),
    Column("firing_at", Instant),
    Column("resolved_at", Instant),
    # Since when the resolve condition has held without a break.
    Column("clear_at", Instant),
    # Windows never reach back before this: the instant of the last resolve.
    Column("windows_from", Instant),
    # What the rule measured when it last looked: current, target, condition, reason.
    Column("measured", Document, nullable=False),
    Column("acknowledged_at", Instant),
    Column("acknowledged_by", Text),
    Column("acknowledgement_ends_at", Instant),
    UniqueConstraint("rule_id", "fingerprint"),
    Index(None, "state"),
    Index(None, "state", "since"),
)

alert_transitions = Table(
    "alert_transitions",
    metadata,
    Column("transition_id", Serial, primary_key=True, autoincrement=True),
    Column("alert_id", String(160), ForeignKey("alerts.alert_id"), nullable=False),
    _id("episode_id"),
    Column("at", Instant, nullable=False),
    Column("from_state", String(16), nullable=False),
    Column("to_state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("measured", Document, nullable=False),
    Index(None, "alert_id", "at"),
    Index(None, "episode_id"),
)

# Alerts that all matchers fit tell nobody while it lasts.
silences = Table(
    "silences",
    metadata,
    _id("silence_id", primary_key=True),
    # A list of documents with a name, a value and whether that is a regular expression.
    Column("matchers", Document, nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    # It ends with the alerts that it fits, if that is earlier.
    Column("until_resolved", Boolean, nullable=False),
    Column("ended_at", Instant),
    # When people were told that it is about to end.
    Column("noticed_at", Instant),
    Index(None, "ends_at"),
)

# --- incidents ---------------------------------------------------------------------------------------

incidents = Table(
    "incidents",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    _id("rule_id", nullable=False),
    Column("title", Text, nullable=False),
    Column("severity", String(4), nullable=False),
    Column("owner", Text, nullable=False),
    Column("labels", Document, nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("mitigated_at", Instant),
    Column("resolved_at", Instant),
    Column("reviewed_at", Instant),
    Column("review_due_at", Instant),
    Column("root_cause", Text),
    Column("action_items", Document, nullable=False),
    # File name below incidents/, chosen once.
    Column("document", String(160), nullable=False, unique=True),
    # Timeline entry up to which the file on disk tells the story.
    Column("documented_up_to", BigInteger, nullable=False),
    Index(None, "state"),
)

# Which episodes of which alerts an incident covers.
incident_episodes = Table(
    "incident_episodes",
    metadata,
    _id("episode_id", primary_key=True),
    _id("alert_id", nullable=False),
    Column("incident", Serial, ForeignKey("incidents.number"), nullable=False),
    Index(None, "incident"),
)

timeline = Table(
    "timeline",
    metadata,
    Column("entry_id", Serial, primary_key=True, autoincrement=True),
    Column("incident", Serial, ForeignKey("incidents.number"), nullable=False),
    Column("at", Instant, nullable=False),
    # opened, note, paged, evidence, pattern, action, verified, mitigated, resolved, ...
    Column("kind", String(32), nullable=False),
    Column("author", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("data", Document),
    Index(None, "incident", "entry_id"),
)

# --- playbooks ---------------------------------------------------------------------------------------

playbook_runs = Table(
    "playbook_runs",
    metadata,
    _id("run_id", primary_key=True),
    _id("playbook_id", nullable=False),
    # sha256 of the document that was run.
    Column("playbook_hash", String(64), nullable=False),
    _id("alert_id", nullable=False),
    _id("episode_id", nullable=False),
    Column("incident", Serial, ForeignKey("incidents.number")),
    # investigating, mitigating, verifying, restoring, then succeeded, escalated or abandoned.
    Column("state", String(16), nullable=False),
    Column("inputs", Document, nullable=False),
    _id("pattern"),
    Column("reason", Text),
    Column("started_at", Instant, nullable=False),
    Column("verifying_at", Instant),
    Column("due_at", Instant),
    Column("ended_at", Instant),
    UniqueConstraint("playbook_id", "episode_id"),
    Index(None, "state"),
)

playbook_steps = Table(
    "playbook_steps",
    metadata,
    Column("entry_id", Serial, primary_key=True, autoincrement=True),
    Column("run_id", String(160), ForeignKey("playbook_runs.run_id", ondelete="CASCADE"), nullable=False),
    _id("step_id", nullable=False),
    Column("section", String(16), nullable=False),
    Column("effect", String(16), nullable=False),
    Column("block", Text, nullable=False),
    # running, passed, failed, timeout, skipped, or uncertain when a broker died in it.
    Column("state", String(16), nullable=False),
    Column("exit_code", Integer),
    Column("output", Text, nullable=False),
    Column("errors", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Index(None, "run_id", "entry_id"),
)

# --- doctor ------------------------------------------------------------------------------------------

diagnoses = Table(
    "diagnoses",
    metadata,
    # The latest of each CLI type that agents use.
    _id("cli_type", primary_key=True),
    Column("checks", Document, nullable=False),
    Column("checked_at", Instant, nullable=False),
)

# --- escalation --------------------------------------------------------------------------------------

escalations = Table(
    "escalations",
    metadata,
    _id("episode_id", primary_key=True),
    _id("alert_id", nullable=False),
    _id("policy", nullable=False),
    Column("incident", Serial, ForeignKey("incidents.number")),
    # active, quiet, joined, held, stopped, finished.
    Column("state", String(16), nullable=False),
    # The episode whose messages tell of this one too: alerts of one rule that came together.
    _id("joined_to"),
    # Number of the tier that was told last, from 0; -1 while nobody was told.
    Column("tier", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("due_at", Instant),
    Column("started_at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    # The timeline entry up to which a playbook's handing over was passed on.
    Column("handed_over_up_to", BigInteger, nullable=False),
    Index(None, "state", "due_at"),
)

# --- notify ------------------------------------------------------------------------------------------

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Serial, primary_key=True, autoincrement=True),
    Column("receiver", String(160), nullable=False),
    # trigger, acknowledge, resolve or update.
    Column("action", String(16), nullable=False),
    Column("dedup_key", String(255), nullable=False),
    Column("message", Document, nullable=False),
    # waiting, leased, delivered, uncertain, cancelled or failed.
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("queued_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("lease_ends_at", Instant),
    Column("delivered_at", Instant),
    Column("reference", Text),
    Column("error", Text),
    # What this delivery belongs to, for the pages that show it.
    _id("episode_id"),
    Column("incident", Serial),
    Index(None, "state", "due_at"),
    Index(None, "dedup_key", "delivery_id"),
    Index(None, "episode_id"),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("attempt_id", Serial, primary_key=True, autoincrement=True),
    Column(
        "delivery_id",
        Serial,
        ForeignKey("deliveries.delivery_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    # NULL until it is known: an attempt without an outcome is uncertain, never failed.
    Column("outcome", String(16)),
    Column("detail", Text),
    Index(None, "delivery_id"),
)
