"""What the broker costs, measured against the least that the same work can cost on the same machine.

`python -m benchmarks` runs them all; docs/performance.md tells what they mean. Each file holds one benchmark:
both sides of its comparison run interleaved in one process, so that whatever else the machine does hits both,
and its figures are ratios, because those carry over to other machines better than milliseconds do.
"""
