"""The edge and the composition root: it builds everything and knows everyone."""
