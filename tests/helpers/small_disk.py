"""A disk without room: importing this lets no file of this process grow beyond 100 kB."""

import resource

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
