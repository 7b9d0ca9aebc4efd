#!/bin/sh
# control.sh COMMAND: what all scripts here do. It asks the node's daemon and returns within 3 s,
# whether there is one or not. PHYEMU_NODE_ROOT and PHYEMU_PYTHON are set in rehearsals only.
root=${PHYEMU_NODE_ROOT:-}
python=${PHYEMU_PYTHON:-$root/opt/phyemu/bin/python}
client=$root/opt/phyemu/bin/control_client.py
if command -v "$python" >/dev/null 2>&1 && [ -r "$client" ]; then
    exec "$python" -I -S "$client" "$1"
fi
if [ "$1" = status ]; then
    echo '{"STATUS": "ERROR", "INFO": "phyemu is not installed as it should be in /opt/phyemu"}'
    exit 0
fi
echo "$1.sh: phyemu is not installed as it should be: no $python or $client" >&2
exit 1
