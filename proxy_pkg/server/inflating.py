"""Coded WebSocket messages, taken as they come and inflated beside the loop, in turns and within bounds.

The library inflates a frame in one call as soon as it is there: 64 KB that hold 64 MB would take the loop for a tenth
of a second, and the memory before anybody was asked for it.
"""

import zlib
from io import BytesIO
from itertools import chain
from typing import Any, Final

from websockets.exceptions import ProtocolError
from websockets.extensions.base import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import CTRL_OPCODES, Frame, Opcode

from proxy_pkg.errors import ProxyError
from proxy_pkg.wire.encoding import PARTS_MAX, Steps

INLINE_BYTES: Final = 256 << 10
"""What a message may inflate to on the loop: a millisecond of it at most."""
_INPUT_BYTES: Final = 64 << 10
_OUTPUT_BYTES: Final = 256 << 10
_END: Final = b"\x00\x00\xff\xff"
"""What the sender leaves out at the end of each message."""


class InflatingError(ProxyError):
    """A coded message cannot be taken; `code` is what its socket is closed with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class CodedFrame(Frame):
    """The first frame of a message that is coded."""


class Later(Extension):
    """permessage-deflate whose messages come coded; `steps` inflates them one after the other."""

    name = PerMessageDeflate.name

    def __init__(self, agreed: PerMessageDeflate, bytes_max: int) -> None:
        self._agreed = agreed
        self._bytes_max = bytes_max

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """The frame with its bytes as they came."""
        del max_size  # of what came; the server looks at that itself
        if frame.opcode in CTRL_OPCODES or not frame.rsv1:
            return frame
        if frame.opcode is Opcode.CONT:
            raise ProtocolError("RSV1 bit set in continuation frame")
        return CodedFrame(frame.opcode, frame.data, frame.fin, rsv1=False, rsv2=frame.rsv2, rsv3=frame.rsv3)

    def encode(self, frame: Frame) -> Frame:
        """As the library does it; a long frame goes out as it is, since coding it would take the loop for as long."""
        return self._agreed.encode(frame) if len(frame.data) <= INLINE_BYTES else frame

    def steps(self, coded: bytes) -> Steps:
        """Inflate the next message. Raises InflatingError."""
        agreed, inflated, streams = self._agreed, BytesIO(), 0
        if agreed.remote_no_context_takeover:
            agreed.decoder = self._decoder()
        starts = range(0, len(coded), _INPUT_BYTES)
        for data in chain((coded[start : start + _INPUT_BYTES] for start in starts), (_END,)):
            while True:
                inflated.write(part := self._some(data))
                if inflated.tell() > self._bytes_max:
                    raise InflatingError(f"a message inflates to more than {self._bytes_max} bytes", 1009)
                yield inflated.tell()
                data = agreed.decoder.unconsumed_tail
                if agreed.decoder.eof:  # which a sender may say, and begin anew
                    data, agreed.decoder, streams = agreed.decoder.unused_data, self._decoder(), streams + 1
                if streams > PARTS_MAX:
                    raise InflatingError(f"a message has more than {PARTS_MAX} deflate streams", 1002)
                if not data and len(part) < _OUTPUT_BYTES:
                    break
        return inflated.getvalue()

    def _decoder(self) -> Any:
        return zlib.decompressobj(wbits=-self._agreed.remote_max_window_bits)

    def _some(self, data: bytes) -> bytes:
        try:
            return self._agreed.decoder.decompress(data, _OUTPUT_BYTES)
        except zlib.error as error:
            raise InflatingError("decompression failed", 1002) from error
