"""What Tocsin does with time: take pings, watch deadlines, deliver alerts."""
