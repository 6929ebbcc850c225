"""A real systemd, booted in namespaces from a root made by debootstrap."""
