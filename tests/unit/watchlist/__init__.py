"""The engine that ships."""
