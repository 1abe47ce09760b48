"""What operators do: services that hold the rules; the CLI and the API only parse and print."""
