#!/bin/sh
# status.sh: Colosseum calls it to learn the state, above all ten minutes after the job began; it prints one JSON line.
exec /bin/sh "${PHYEMU_NODE_ROOT:-}/root/radio_api/control.sh" status
