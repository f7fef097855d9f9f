"""What every request has to pass before the application sees it."""
