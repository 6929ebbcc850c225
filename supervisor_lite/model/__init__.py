"""Data: frozen definitions, records and events, without behaviour. Imports nothing of ours."""
