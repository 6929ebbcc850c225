"""What should happen. Pure: no clock, no signals, no files."""
