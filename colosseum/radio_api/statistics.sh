#!/bin/sh
# statistics.sh: Colosseum calls it to learn how the radio fares (it does not do so yet).
exec /bin/sh "${PHYEMU_NODE_ROOT:-}/root/radio_api/control.sh" statistics
