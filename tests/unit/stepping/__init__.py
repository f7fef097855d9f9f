"""From a claim to durable steps."""
