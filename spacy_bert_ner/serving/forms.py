"""What the APIs of other services share."""

import re
from collections.abc import Sequence

IGNORED_HEADER = "X-Ignored-Parameters"
# Characters of a client's parameter name that may be quoted in a header.
_PLAIN = re.compile(r"[\w.-]{1,60}", re.ASCII)


def name_ignored(names: Sequence[str]) -> dict[str, str]:
    """Name parameters that have no effect here, in a header: the bodies of these APIs have no field for them.

    names (Sequence[str]): As the client wrote them.
    RETURNS (dict[str, str]): The header; empty where there is nothing to name.
    """
    plain = [name if _PLAIN.fullmatch(name) else "..." for name in names[:20]]
    return {IGNORED_HEADER: ", ".join(dict.fromkeys(plain))} if plain else {}
