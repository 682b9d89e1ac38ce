"""What differs by task. `task.py` says what a task must answer, `registry.py` finds the one that a recipe names."""
