"""Whatever has a wire on it: keys, lamps, switch, printer, camera, and the bench that stands in for them."""
