"""SPDX names of licences, for what metadata calls them. Pure, and nothing is loaded.

See: https://spdx.org/licenses/; https://pypi.org/classifiers/, "License"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "academic free license (afl)": "AFL-3.0",
        "apache": "Apache-2.0",
        "apache 2": "Apache-2.0",
        "apache 2.0": "Apache-2.0",
        "apache license": "Apache-2.0",
        "apache license 2.0": "Apache-2.0",
        "apache license v2.0": "Apache-2.0",
        "apache license version 2.0": "Apache-2.0",
        "apache license, version 2.0": "Apache-2.0",
        "apache software license": "Apache-2.0",
        "apache software license 2.0": "Apache-2.0",
        "apache-2": "Apache-2.0",
        "artistic license": "Artistic-2.0",
        "blue oak model license (blueoak-1.0.0)": "BlueOak-1.0.0",
        "boost software license 1.0 (bsl-1.0)": "BSL-1.0",
        "bsd 2-clause license": "BSD-2-Clause",
        "bsd 3-clause": "BSD-3-Clause",
        "bsd 3-clause license": "BSD-3-Clause",
        "bsd license": "BSD",
        "bsd-like": "BSD",
        "3-clause bsd": "BSD-3-Clause",
        "3-clause bsd license": "BSD-3-Clause",
        "2-clause bsd": "BSD-2-Clause",
        "modified bsd": "BSD-3-Clause",
        "modified bsd license": "BSD-3-Clause",
        "new bsd": "BSD-3-Clause",
        "new bsd license": "BSD-3-Clause",
        "simplified bsd": "BSD-2-Clause",
        "simplified bsd license": "BSD-2-Clause",
        "cc0 1.0 universal (cc0 1.0) public domain dedication": "CC0-1.0",
        "eclipse public license 1.0 (epl-1.0)": "EPL-1.0",
        "eclipse public license 2.0 (epl-2.0)": "EPL-2.0",
        "european union public licence 1.1 (eupl 1.1)": "EUPL-1.1",
        "european union public licence 1.2 (eupl 1.2)": "EUPL-1.2",
        "gnu affero general public license v3": "AGPL-3.0-only",
        "gnu affero general public license v3 or later (agplv3+)": "AGPL-3.0-or-later",
        "gnu general public license v2 (gplv2)": "GPL-2.0-only",
        "gnu general public license v2 or later (gplv2+)": "GPL-2.0-or-later",
        "gnu general public license v3 (gplv3)": "GPL-3.0-only",
        "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
        "gnu lesser general public license v2 (lgplv2)": "LGPL-2.0-only",
        "gnu lesser general public license v2 or later (lgplv2+)": "LGPL-2.0-or-later",
        "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
        "gnu lesser general public license v3 or later (lgplv3+)": "LGPL-3.0-or-later",
        "gplv2": "GPL-2.0-only",
        "gplv2+": "GPL-2.0-or-later",
        "gplv3": "GPL-3.0-only",
        "gplv3+": "GPL-3.0-or-later",
        "lgplv3": "LGPL-3.0-only",
        "lgplv3+": "LGPL-3.0-or-later",
        "historical permission notice and disclaimer (hpnd)": "HPND",
        "isc license (iscl)": "ISC",
        "isc license": "ISC",
        "mit license": "MIT",
        "mit no attribution license (mit-0)": "MIT-0",
        "the mit license": "MIT",
        "the mit license (mit)": "MIT",
        "expat license": "MIT",
        "mozilla public license 1.1 (mpl 1.1)": "MPL-1.1",
        "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
        "mozilla public license 2.0": "MPL-2.0",
        "mpl 2.0": "MPL-2.0",
        "mulan permissive software license v2 (mulanpsl-2.0)": "MulanPSL-2.0",
        "psf": "PSF-2.0",
        "psf license": "PSF-2.0",
        "psfl": "PSF-2.0",
        "python software foundation license": "PSF-2.0",
        "sil open font license 1.1 (ofl-1.1)": "OFL-1.1",
        "the unlicense (unlicense)": "Unlicense",
        "universal permissive license (upl)": "UPL-1.0",
        "university of illinois/ncsa open source license": "NCSA",
        "w3c license": "W3C",
        "zero-clause bsd (0bsd)": "0BSD",
        "zlib/libpng license": "Zlib",
        "zope public license": "ZPL",
        "zpl 2.1": "ZPL-2.1",
    }
)
"""What people write, in lower case. ``BSD`` and ``ZPL`` are no SPDX names: which of several is not said."""

# What stands in a licence's text, in the order in which the first that is there decides.
_TEXTS = (
    ("Apache-2.0", r"apache license,? version 2\.0"),
    ("MPL-2.0", r"mozilla public license,? version 2\.0"),
    ("AGPL-3.0-only", r"gnu affero general public license version 3"),
    ("LGPL-3.0-only", r"gnu lesser general public license version 3"),
    ("LGPL-2.1-only", r"gnu lesser general public license version 2\.1"),
    ("GPL-3.0-only", r"gnu general public license version 3"),
    ("GPL-2.0-only", r"gnu general public license version 2"),
    ("PSF-2.0", r"python software foundation license version 2"),
    ("BSL-1.0", r"boost software license - version 1\.0"),
    ("Unlicense", r"this is free and unencumbered software released into the public domain"),
    ("CC0-1.0", r"cc0 1\.0 universal"),
    ("BSD-3-Clause", r"redistribution and use in source and binary forms(?=.*\bneither the name\b)"),
    ("BSD-2-Clause", r"redistribution and use in source and binary forms"),
    (
        "ISC",
        r"permission to use, copy, modify,? and(?:/or)? distribute this software for any purpose with or",
    ),
    ("MIT", r"permission is hereby granted, free of charge, to any person obtaining a copy"),
)
_SHORTEST_TEXT = 200


def name_of(text: str) -> str:
    """Return the SPDX name of what metadata calls a licence; the text itself where none is known."""
    name = " ".join(text.split())
    return ALIASES.get(name.lower(), name)


def recognize_text(text: str) -> str:
    """Return the SPDX name of the licence whose whole text this is, "" where it is none that is known."""
    plain = " ".join(text.lower().split())
    if len(plain) < _SHORTEST_TEXT:
        return ""
    return next((name for name, sign in _TEXTS if re.search(sign, plain)), "")
