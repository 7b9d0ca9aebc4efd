#!/bin/sh
# scenario_discontinuity.sh: Colosseum calls it when the scenario jumps, or starts over.
exec /bin/sh "${PHYEMU_NODE_ROOT:-}/root/radio_api/control.sh" scenario_discontinuity
