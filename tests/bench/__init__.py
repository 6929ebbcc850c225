"""Measurements of the daemon beside a bare Python loop and beside Supervisor.

`python -m tests.bench` runs them. Everything that is compared is measured in the same run, in
turns, on the same machine; a figure from another day is worth nothing here.
"""
