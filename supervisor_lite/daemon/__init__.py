"""The life of one daemon process: start, recovery, signals, shutdown, upgrade, log."""
