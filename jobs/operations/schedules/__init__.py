"""Operations on schedules: list, create, edit, pause, run, backfill."""
