"""UHD's own device simulator on 127.0.0.1, run by the Python that Debian's `python3-uhd` is for.

Usage: daemon.py CONFIG (the simulator's .ini file). Terminate it to stop it.
"""

import ctypes
import importlib
import os
import signal
import sys
import time
import types

import pyroute2


def prepare():
    """Let the simulator load where only its hardware-independent parts are installed."""
    # Hardware only; importing it needs a library that the simulator comes without.
    adapter = types.ModuleType("usrp_mpm.xports.xport_adapter_ctrl")
    adapter.XportAdapterCtrl = None
    sys.modules[adapter.__name__] = adapter
    # pyroute2 took a list of links until 0.6, and takes them one by one since.
    get_links = pyroute2.IPRoute.get_links
    pyroute2.IPRoute.get_links = lambda self, links=(), **options: get_links(
        self, *(links if isinstance(links, list | tuple) else [links]), **options
    )


def end_with_parent():
    """Let the kernel kill this process when its parent ends, however that ends."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(config):
    """Run the simulator until it is terminated, or whoever started it is gone."""
    end_with_parent()
    os.register_at_fork(after_in_child=end_with_parent)
    prepare()
    mpm = importlib.import_module("usrp_mpm")
    base = importlib.import_module("usrp_mpm.periph_manager.base")
    net = importlib.import_module("usrp_mpm.sys_utils.net")
    mpmtypes = importlib.import_module("usrp_mpm.mpmtypes")
    importlib.import_module("streams").install()
    # UHD wants a string here, and there is no firmware image to name.
    base.get_mender_artifact = lambda *_arguments: ""
    # A fast link, so that UHD uses packets of 8000 bytes.
    net.get_link_speed = lambda _interface: 10_000

    log = mpm.get_main_logger()
    state = mpmtypes.SharedState()
    arguments = {"config": config}
    processes = [mpm.spawn_rpc_process(mpmtypes.MPM_RPC_PORT, state, arguments)]

    def stop(*_signal):
        for process in processes:
            process.kill()
        os._exit(0)  # gevent's hub, in which this runs, allows no waiting

    signal.signal(signal.SIGTERM, stop)
    while not state.system_ready.value:
        if not processes[0].is_alive():
            sys.exit("the simulator ended before it was ready")
        time.sleep(0.05)
    processes.append(mpm.spawn_discovery_process(state, "127.0.0.1"))
    log.info("simulator is ready")
    for process in processes:
        process.join()


if __name__ == "__main__":
    main(sys.argv[1])
