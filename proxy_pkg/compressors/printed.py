"""What commands print that is of no special kind: what comes again is counted, shared beginnings become headings.

Lines that report errors or warnings stay word for word, and so do those beside them.
"""

from proxy_pkg.compressors.alerts import alerts
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.folding import Folding, folded
from proxy_pkg.model import Grade

_FOLDING = Folding(lambda _: "a command printed it", alerts)

PRINTED = Compressor("printed", Grade.INVERTIBLE, lambda text: folded(text, _FOLDING), version=2)
