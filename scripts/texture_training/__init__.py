"""Data for the temporal attention of texture: clips, flicker, aligned crops."""
