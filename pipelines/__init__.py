"""When things run: definitions, jobs, schedules, sensors, the command, and the replay."""
