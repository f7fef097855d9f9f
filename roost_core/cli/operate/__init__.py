"""Commands about workers, plugins and the server."""
