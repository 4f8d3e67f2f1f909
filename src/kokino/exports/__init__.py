"""What we know, for other programs: rules for Prometheus, a dashboard for Grafana, objectives as OpenSLO.

All of it is text made from objectives and alert rules; nothing here asks a broker.
`prometheus` writes rules that `alert_group` makes, with the counters of `counters` and the conditions of
`conditions`; `unit_tests` writes promtool's tests of them.
"""
