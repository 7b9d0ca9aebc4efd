#!/bin/sh
# stop.sh: Colosseum calls it at the end of the match; what remains to be done has two minutes.
exec /bin/sh "${PHYEMU_NODE_ROOT:-}/root/radio_api/control.sh" stop
