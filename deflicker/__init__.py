"""Take the flicker out of any video, and nothing else."""
__version__ = "0.1.0"
