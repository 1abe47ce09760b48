"""What every command shares: options, exit codes, error reports, prompts, and opening the App."""
