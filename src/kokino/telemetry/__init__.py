"""Telemetry: durable events, the sums kept over them, and what Prometheus reads.

`model` says what an event is, `store` writes and reads them, `rollup_store` their sums, `windows` cuts time
into whole buckets and edges, `histogram` holds durations, `exposition` writes the text of ``/metrics``.
"""
