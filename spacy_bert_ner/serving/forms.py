"""What the forms of others share."""

import re
from collections.abc import Sequence

IGNORED = "X-Ignored-Parameters"
# A name from a client, before it gets into a header.
_PLAIN = re.compile(r"[\w.-]{1,60}", re.ASCII)


def name_ignored(names: Sequence[str]) -> dict[str, str]:
    """Name parameters that have no effect here, in a header: the bodies of these forms have no place for it.

    names (Sequence[str]): Their names, as the client wrote them.
    RETURNS (dict[str, str]): The header; empty where there is nothing to name.
    """
    plain = [name if _PLAIN.fullmatch(name) else "..." for name in names[:20]]
    return {IGNORED: ", ".join(dict.fromkeys(plain))} if plain else {}
