"""Hold texture that is redrawn in every frame: its look is taken from where it was drawn before."""
