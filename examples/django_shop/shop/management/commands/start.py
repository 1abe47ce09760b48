"""``manage.py start``: migrate, then serve the pages and perform the tasks until Ctrl-C."""

import secrets
import signal
import subprocess
import sys
from contextlib import suppress
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
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            while all(one.poll() is None for one in started):
                with suppress(subprocess.TimeoutExpired):
                    started[0].wait(1)
            raise CommandError("The worker or the pages ended.")
        except KeyboardInterrupt:
            pass
        finally:
            for one in started:
                one.terminate()
            for one in started:
                one.wait(40)
