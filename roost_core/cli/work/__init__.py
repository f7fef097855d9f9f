"""Commands about work items."""
