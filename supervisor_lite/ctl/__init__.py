"""The client, slctl."""
