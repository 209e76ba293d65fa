"""Jobs on their way through Redis: the queue, the leases and the job records. The only package that imports redis."""
