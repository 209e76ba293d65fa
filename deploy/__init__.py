"""How the processes are run. Starts them and imports none of them."""
