"""What odd files hold before and after, for `scripts/try_files.py`."""
