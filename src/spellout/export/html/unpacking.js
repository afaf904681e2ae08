// From text to bytes; the inverse of `seven.py`, and of `zlib`.
"use strict";

// Seven bits in each character; what cannot stand in a page as it is stands 128 characters further on.
function bytesOf(text) {
  const bytes = new Uint8Array(Math.floor(text.length * 7 / 8));
  let held = 0, bits = 0, place = 0;
  for (let i = 0; i < text.length; i++) {
    held = (held << 7 | text.charCodeAt(i) & 127) & 0xffff;
    bits += 7;
    if (bits >= 8) bytes[place++] = held >> (bits -= 8) & 255;
  }
  return bytes;
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
