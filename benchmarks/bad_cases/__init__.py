"""Inputs that are not allowed, drawn at random; each comes with what an error about it has to name."""
