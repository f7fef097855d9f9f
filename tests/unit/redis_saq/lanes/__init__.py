"""Which claims a worker's lanes take."""
