"""Facts become instruction text: one file a task, its templates beside it."""
