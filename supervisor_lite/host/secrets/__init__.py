"""Secrets of programs: read, checked and handed to one run."""
