"""The doubles that Kokino ships: clocks, ids, scripted agents, recording receivers, a broker in a box."""
