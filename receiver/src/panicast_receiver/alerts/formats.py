# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns alerts into the formats of the services that get them: a table of formats. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Callable, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from ..records.labels import shown
from ..text import escape, shorten
from .rules import Target

Alert = Mapping[str, Any]


class Told(NamedTuple):
    """What is sent: to a web address, or, where there is none, to sendmail."""

    url: str
    body: bytes
    headers: Mapping[str, str]


class Secrets(NamedTuple):
    """What a target's files hold."""

    url: str = ""
    key: str = ""


_NTFY = {"critical": 5, "warning": 4, "info": 2}
_PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
#: Facts of an alert that others sort by.
_LABELS = ("kind", "signature", "host", "kernel", "type")


def _json(url: str, value: Any, **headers: str) -> Told:
    return Told(url, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


def _alertmanager(alert: Alert, target: Target, secrets: Secrets) -> Told:
    labels = {"alertname": "Panicast" + alert["kind"].capitalize(), "severity": alert["severity"]}
    # Of a group, not of a host: Alertmanager takes alerts with the same labels for one.
    labels |= {name: escape(alert[name]) for name in ("kind", "signature", "type") if alert[name]}
    labels |= {"host": escape(alert["host"])} if alert["kind"] == "host" else {}
    labels |= {"kernel": escape(alert["kernel"])} if alert["kind"] == "kernel" else {}
    if alert["kind"] == "host":
        labels = {**alert["labels"], **labels}
    notes = {"summary": alert["line"], "description": escape(alert["title"])}
    notes |= {"labels": shown(alert["labels"])} if alert["labels"] else {}
    return _json(secrets.url, [{"labels": labels, "annotations": notes, "startsAt": alert["at"]}])


def _generic(alert: Alert, target: Target, secrets: Secrets) -> Told:
    made = _filled(json.loads(target.template), alert) if target.template else alert
    return _json(secrets.url, made)


def _filled(part: Any, alert: Alert) -> Any:
    """Return a template with {title} and the like in its strings replaced; a string that is nothing
    but one becomes what stands for it, a number too."""
    if isinstance(part, dict):
        return {key: _filled(value, alert) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, alert) for value in part]
    if not isinstance(part, str):
        return part
    whole = re.fullmatch(r"\{(\w+)\}", part)
    if whole and whole[1] in alert:
        return alert[whole[1]]
    facts = {**alert, "labels": shown(alert["labels"])}
    return re.sub(r"\{(\w+)\}", lambda match: str(facts.get(match[1], match[0])), part)


def _slack(alert: Alert, target: Target, secrets: Secrets) -> Told:
    # Slack's own three characters, so that a title cannot become a link or a mention.
    line = alert["line"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _json(secrets.url, {"text": f"[{alert['severity']}] {line}"})


def _pagerduty(alert: Alert, target: Target, secrets: Secrets) -> Told:
    event = {
        "routing_key": secrets.key,
        "event_action": "trigger",
        # One incident for a group, whatever is told of it.
        "dedup_key": shorten(f"panicast/{alert['about']}", 255),
        "payload": {
            "summary": shorten(alert["line"], 1024),
            "source": escape(alert["host"]) or "panicast",
            "severity": alert["severity"],
            "timestamp": alert["at"],
            "component": "kernel",
            "group": alert["signature"],
            "class": alert["kind"],
            "custom_details": {
                **{name: escape(alert[name]) for name in (*_LABELS, "record")},
                **{name: alert[name] for name in ("records", "hosts")},
                **({"labels": shown(alert["labels"])} if alert["labels"] else {}),
                **({"more": "\n".join(alert["more"])} if "more" in alert else {}),
            },
        },
    }
    return _json(secrets.url or _PAGERDUTY, event)


def _ntfy(alert: Alert, target: Target, secrets: Secrets) -> Told:
    parts = urlsplit(secrets.url)
    root, _, topic = parts.path.rstrip("/").rpartition("/")
    message = {
        "topic": topic,
        "title": f"panicast: {alert['kind']}",
        "message": alert["line"],
        "priority": _NTFY[alert["severity"]],
        "tags": [alert["severity"], alert["kind"]],
    }
    headers = {"Authorization": f"Bearer {secrets.key}"} if secrets.key else {}
    return _json(urlunsplit(parts._replace(path=root + "/")), message, **headers)


def _mail(alert: Alert, target: Target, secrets: Secrets) -> Told:
    mail = EmailMessage(policy=SMTP.clone(linesep="\n"))
    mail["From"], mail["To"] = target.sender, ", ".join(target.to)
    mail["Subject"] = shorten(f"panicast: {alert['line']}", 200)
    # So that no holiday answers.
    mail["Auto-Submitted"] = "auto-generated"
    facts = [f"{name + ':':<10} {escape(str(alert[name]))}" for name in (*_LABELS, "record") if alert[name]]
    facts += [f"labels:    {shown(alert['labels'])}"] if alert["labels"] else []
    mail.set_content("\n".join([alert["line"], *alert.get("more", ()), "", *facts, ""]))
    return Told("", mail.as_bytes(), {})


FORMATS: Mapping[str, Callable[[Alert, Target, Secrets], Told]] = {
    "alertmanager": _alertmanager,
    "json": _generic,
    "slack": _slack,
    "pagerduty": _pagerduty,
    "ntfy": _ntfy,
    "mail": _mail,
}
