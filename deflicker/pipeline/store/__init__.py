"""What is found out about a video, kept beside its output: one folder, one fingerprint and one format of files."""
