"""The engine: the only caller of the rules and the only writer of a process."""
