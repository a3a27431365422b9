"""First pass: tone and colour, by one energy over a window of frames."""
