"""A chat with history: Django, django-eventstream and django-grip in one file.

    GRIP_URL=http://127.0.0.1:5561?iss=…&key=… python3 django_chat.py ADDRESS:PORT DATABASE

GET  /rooms/ROOM/messages   the history and the id to resume after
POST /rooms/ROOM/messages   a message: from, text
GET  /rooms/ROOM/events     the live stream, with Last-Event-ID or ?lastEventId=
"""

import json
import os
import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.http import JsonResponse
from django.urls import include, path

address, database = sys.argv[1:] if __name__ == "__main__" else ("", "")

settings.configure(
    SECRET_KEY="only for tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_eventstream"],
    MIDDLEWARE=["django_grip.GripMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database, "OPTIONS": {"timeout": 20}}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    GRIP_URL=os.environ["GRIP_URL"],
    EVENTSTREAM_STORAGE_CLASS="django_eventstream.storage.DjangoModelStorage",
    USE_TZ=True,
)
django.setup()

from django_eventstream import get_current_event_id, send_event  # noqa: E402  they need the settings above
from django_eventstream.storage import DjangoModelStorage, EventDoesNotExist  # noqa: E402


def history(channel):
    try:
        events = DjangoModelStorage().get_events(channel, 0)
    except EventDoesNotExist:
        return []
    return [json.loads(event.data) for event in events]


def messages(request, room):
    channel = "room-" + room
    if request.method == "POST":
        send_event(channel, "message", {"from": request.POST["from"], "text": request.POST["text"]})
        return JsonResponse({})
    return JsonResponse({"messages": history(channel), "last-event-id": get_current_event_id([channel])})


urlpatterns = [
    path("rooms/<room>/messages", messages),
    path("rooms/<room>/events", include("django_eventstream.urls"), {"format-channels": ["room-{room}"]}),
]

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    call_command("runserver", address, use_reloader=False, skip_checks=True)
