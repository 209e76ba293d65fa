"""Workers: stream -> batch -> operation -> store -> finish."""
