"""The lanes of a worker: which claims they take, and the SAQ worker that runs them."""
