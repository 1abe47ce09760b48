"""Sends an e-mail by the SMTP server that the settings name."""

from __future__ import annotations

from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from jobs.alerting.shapes import Text
from jobs.errors import ConfigurationError
from jobs.settings import Settings

LIMIT_SECONDS = 10.0
"""Time limit of each step with the server. Source: decision; the job has 30 s."""


def send_mail(settings: Settings, to: str, message_id: str, text: Text) -> None:
    """Send ``text`` to the addresses ``to``, separated by commas.

    Raises:
        ConfigurationError: no server is set.
        OSError, smtplib.SMTPException: the server did not take it.
    """
    import smtplib
    import ssl

    if settings.alert_smtp_url is None:
        raise ConfigurationError("There is no mail server for alerts.", hint="Set JOBS_ALERT_SMTP_URL in the workers.")
    server = urlsplit(settings.alert_smtp_url)
    host = server.hostname or "localhost"
    mail = EmailMessage()
    mail["From"] = settings.alert_from
    mail["To"] = to
    mail["Subject"] = text.subject
    mail["Message-ID"] = f"<{message_id}@jobledger.invalid>"
    mail.set_content(text.body)
    context = ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(host, server.port or 465, timeout=LIMIT_SECONDS, context=context)
        if server.scheme.startswith("smtps")
        else smtplib.SMTP(host, server.port or 587, timeout=LIMIT_SECONDS)
    ) as smtp:
        if server.scheme == "smtp":
            smtp.starttls(context=context)
        if server.username:
            smtp.login(unquote(server.username), unquote(server.password or ""))
        smtp.send_message(mail)
