"""Convolution and pooling on plain arrays: the arithmetic, in NumPy. Knows nothing of graphs."""
