"""A tmux server of the broker's own: terminals for CLIs, and the client that works them."""
