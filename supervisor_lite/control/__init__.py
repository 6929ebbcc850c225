"""The control socket: server, verbs, access."""
