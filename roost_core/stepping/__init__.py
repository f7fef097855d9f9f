"""From a claim to durable steps: attempts, leases, and what happens when a step hangs."""
