"""Random bad inputs, each with what an error about it has to name."""
