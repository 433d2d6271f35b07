"""What a window knows and decides: rules without I/O, without a clock, without threads."""
