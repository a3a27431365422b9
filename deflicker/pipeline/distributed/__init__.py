"""One film split by shots over many workers."""
