"""``manage.py start``: migrate, then serve the pages and perform the tasks until Ctrl-C."""

import secrets
import signal
import subprocess
import sys
import time
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Migrate, and start the pages and a worker. Ctrl-C stops both."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", nargs="?", default="127.0.0.1:8000", help="HOST:PORT of the pages.")

    def handle(self, *args: Any, address: str, **options: Any) -> None:
        """Run until a signal, or until one of the two ends."""
        call_command("migrate", verbosity=0)
        password = secrets.token_urlsafe(9)
        ann, _ = get_user_model().objects.get_or_create(
            username="ann", defaults={"is_staff": True, "is_superuser": True}
        )
        ann.set_password(password)
        ann.save()
        manage = [sys.executable, sys.argv[0]]
        commands = ([*manage, "jobs", "worker"], [*manage, "runserver", "--noreload", "--insecure", address])
        started = [subprocess.Popen(command) for command in commands]
        self.stdout.write(f"The shop is at http://{address}/")
        self.stdout.write(f"Its runs are at http://{address}/jobs/; sign in as ann with the password {password}")
        self.stdout.flush()
        asked: list[int] = []
        # They only note the signal: an exception within ``Popen.wait`` can leave its lock held, so that no later call
        # learns that the process has ended.
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda number, frame: asked.append(number))
        try:
            while not asked:
                if any(one.poll() is not None for one in started):
                    raise CommandError("The worker or the pages ended.")
                time.sleep(0.2)
        finally:
            for one in started:
                one.terminate()
            for one in started:
                one.wait(40)
