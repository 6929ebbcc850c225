"""Features that watch the bus or the configuration and ask core; none imports another."""
