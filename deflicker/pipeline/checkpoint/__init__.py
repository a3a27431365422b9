"""What an interrupted run leaves for the next one to go on from (`--resume`)."""
