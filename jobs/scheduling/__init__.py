"""When a schedule is due: pure computations with cron expressions, time zones and slots."""
