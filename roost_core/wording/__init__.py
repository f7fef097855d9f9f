"""Small help with texts for people: near misses, and secrets that are hidden."""
