"""The windows of 2026 in several time zones, found by looking at the clocks every half hour.

An independent opinion for tests/partition.rs: Python's zoneinfo, no arithmetic on calendars. Prints a
line for every window that begins in 2026 (UTC): zone, cadence, key, first instant, first instant of
the next. Needs nothing but the standard library and the time zones of the system.
"""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

ZONES = [
    "UTC",
    "Asia/Seoul",
    "America/New_York",
    "Australia/Lord_Howe",  # its clocks change by half an hour
    "America/Havana",  # midnight is skipped in March, and there twice in November
    "Africa/Cairo",  # midnight is skipped in April
    "America/Santiago",  # midnight is skipped in September
]
# Clocks change at no other times, in these zones and that year.
STEP = timedelta(minutes=30)
BEGIN, END = (datetime(year, 1, 1, tzinfo=timezone.utc) for year in (2026, 2027))


def hour(local):
    # The same hour of the same day by another offset is another hour.
    return local.strftime("%Y-%m-%dT%H"), local.strftime("%z")


def day(local):
    return local.strftime("%Y-%m-%d")


def late_day(local):
    return day(local.replace(tzinfo=None) - timedelta(hours=2, minutes=30))


def week(local):
    return day(local.replace(tzinfo=None) - timedelta(days=local.weekday()))


def month(local):
    return local.strftime("%Y-%m")


def looks(zone):
    """What the clocks show, from some weeks before the year to some weeks after it."""
    instant = BEGIN - timedelta(days=70)
    while instant < END + timedelta(days=70):
        yield instant, instant.astimezone(zone)
        instant += STEP


def windows(seen, name_of):
    """Name and first instant of each window."""
    last = None
    for instant, local in seen:
        name = name_of(local)
        # Days, weeks and months go forward only, whatever the clocks do around midnight.
        new = name != last if isinstance(name, tuple) else last is None or name > last
        if new:
            yield name, instant
            last = name


def main():
    for zone in ZONES:
        seen = list(looks(ZoneInfo(zone)))
        for name_of in (hour, day, late_day, week, month):
            found = list(windows(seen, name_of))
            plain = [name[0] if isinstance(name, tuple) else name for name, _ in found]
            twice = {a for a, b in zip(plain, plain[1:]) if a == b}
            for (name, start), (_, end), key in zip(found, found[1:], plain):
                if BEGIN <= start < END:
                    key += name[1] if key in twice else ""
                    print(zone, name_of.__name__, key, *(f"{it:%Y-%m-%dT%H:%MZ}" for it in (start, end)))


main()
