"""The only place that touches processes and the kernel."""
