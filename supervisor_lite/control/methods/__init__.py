"""The methods of the control socket, one module per family."""
