"""Alerts: rules as files, verdicts as pure functions, states that survive everything.

`rulefile` reads a rule, `observe` counts what it asks for, `gate` weighs the evidence, `evaluate` says if it
fires or clears, `lifecycle` changes the state, `schedule` says when time alone can change it, `store` keeps
it, `module` does all of that when due; `rehearse` does the same in virtual time for the tests in a file.
`episode_store` tells others what fires and how it began and ended.
"""
