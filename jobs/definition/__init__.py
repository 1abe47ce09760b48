"""What a job class declares: its options, arguments, retry policy, unique key and tags, checked when it is defined."""
