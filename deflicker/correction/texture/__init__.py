"""Second pass: texture that boils around tone-stable frames."""
