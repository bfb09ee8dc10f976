"""Enumeration by many processes: tasks, pools of workers, and a folder to go on from."""
