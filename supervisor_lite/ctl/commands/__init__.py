"""The commands of slctl, one module per family."""
