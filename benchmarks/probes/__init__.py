"""What is measured besides the rows of the table: other workers, states and ways to send them."""
