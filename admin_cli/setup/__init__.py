"""Commands that set things up: migrate, config, users, completion, import from dramatiq."""
