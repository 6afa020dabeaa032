"""What every pattern stands on: the call, its outcomes, its commit point, and the drivers for every shape."""
