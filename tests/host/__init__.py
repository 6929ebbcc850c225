"""What touches the kernel, tried on directories and files that look like its own."""
