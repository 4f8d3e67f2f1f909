"""The HTTP API: checks what comes in, asks the services, shapes what goes out. It decides nothing."""
