"""Talk to the daemon over its control socket: one sync and one async client."""
