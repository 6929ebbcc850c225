"""Pools of event listeners (Supervisor's protocol): their sessions and buffers."""
