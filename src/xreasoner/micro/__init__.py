"""A world small enough for a laptop: two domains of chained arithmetic, as text or as rendered pages."""
