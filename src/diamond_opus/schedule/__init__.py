"""Schedule: plan runs, wake what is due, and start runs by the clock."""
