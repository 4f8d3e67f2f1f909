"""Service level objectives: what we promise, how much of the error budget is spent, how fast it goes.

`openslo` reads what is promised, `defaults` has what ships, `budget` does the
arithmetic, `status` answers ``/api/slo/status``.
"""
