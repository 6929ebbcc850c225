"""A child's output: pipe to file, rotate, read, follow."""
