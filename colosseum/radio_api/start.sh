#!/bin/sh
# start.sh: Colosseum calls it when the match begins; the node becomes ACTIVE as soon as it can.
exec /bin/sh "${PHYEMU_NODE_ROOT:-}/root/radio_api/control.sh" start
