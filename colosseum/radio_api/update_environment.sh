#!/bin/sh
# update_environment.sh: Colosseum calls it after it has pushed a new environment.json.
exec /bin/sh "${PHYEMU_NODE_ROOT:-}/root/radio_api/control.sh" update_environment
