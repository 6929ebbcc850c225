"""The configurations of others (supervisord.conf) to TOML; only `slctl import` loads it."""
