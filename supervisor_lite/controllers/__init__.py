"""One file per feature: each watches the bus and asks core; none imports another."""
