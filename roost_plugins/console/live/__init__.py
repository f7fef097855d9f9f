"""What happens in the queue, told to every open page over one connection each browser."""
