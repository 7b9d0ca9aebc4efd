#!/bin/sh
# update_outcomes.sh: Colosseum calls it after it has pushed a new mandated_outcomes.json.
exec /bin/sh "${PHYEMU_NODE_ROOT:-}/root/radio_api/control.sh" update_outcomes
