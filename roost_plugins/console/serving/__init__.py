"""What makes the console a safe web server, whatever its pages are."""
