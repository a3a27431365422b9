"""The stages wired together: `video.py` is the whole job."""
