"""GNU Radio's corr_est_cc on files of samples; run by the interpreter that has GNU Radio.

Arguments: a template and samples, both complex64 files, then thresholds (of the largest squared
correlation). Prints JSON: per threshold the sample at which each correlation that exceeds it
begins.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    """Print what is found."""
    import numpy as np
    import pmt
    from gnuradio import blocks, digital, gr

    template = np.fromfile(Path(sys.argv[1]), np.complex64)
    found = {}
    for threshold in map(float, sys.argv[3:]):
        top = gr.top_block()
        source = blocks.file_source(gr.sizeof_gr_complex, sys.argv[2], False)
        method = digital.THRESHOLD_ABSOLUTE
        correlator = digital.corr_est_cc(template.tolist(), 2, 0, threshold, method)
        tags = blocks.tag_debug(gr.sizeof_gr_complex, "", "corr_start")
        tags.set_display(False)
        tags.set_save_all(True)
        top.connect(source, correlator, tags)
        top.connect((correlator, 1), blocks.null_sink(gr.sizeof_gr_complex))
        top.run()
        kept = [tag.offset for tag in tags.current_tags() if pmt.to_python(tag.key) == "corr_start"]
        found[threshold] = kept
    print(json.dumps({"version": gr.version(), "found": list(found.values())}))


if __name__ == "__main__":
    main()
