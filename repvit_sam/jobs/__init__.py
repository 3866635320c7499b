"""Long runs over many photos: what a job is, its records on disk, and the processes that work on it."""
