"""TOML on disk to a Plan."""
