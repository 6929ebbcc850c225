"""The protocol of event listeners (Supervisor's), without any I/O."""
