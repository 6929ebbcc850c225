"""Everything HTTP: a separate process that knows the daemon only through its control socket."""
