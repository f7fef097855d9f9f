"""Pictures: what stands where, computed from facts. Pure; templates turn them into SVG."""
