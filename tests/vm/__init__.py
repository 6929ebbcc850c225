"""A whole kernel in a virtual machine, for what the kernel of this one cannot show."""
