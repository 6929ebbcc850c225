"""What daemon and clients share. Standard library only; on the hot path of `slctl`."""
