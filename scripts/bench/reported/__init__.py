"""Kinds of flicker that people report in public, each made from code, with the criteria of a right result."""
