// Unpacks the program of a live file: web/program.ts packs it with LZMA, which has no decoder in a browser.
import { CRC32_TABLE, decompress } from 'lzma1'

/** The bytes before the compressed program: its CRC-32, and the number of its parts. */
const HEAD_BYTES = 8

/**
 * Return the parts of a program: script of the page, style sheet, worker, kernels, relaxed kernels, Chinese sentences.
 *
 * @param packed CRC-32 of what follows uncompressed and the number of parts, 4 bytes each, little-endian; then, as LZMA,
 *   the size of each part in 4 bytes and the parts
 * @throws Error if the program is damaged
 */
export function unpackProgram(packed: ArrayBuffer): ArrayBuffer[] {
  const head = new DataView(packed, 0, HEAD_BYTES)
  const content = Uint8Array.from(decompress(new Uint8Array(packed, HEAD_BYTES)))
  if (crc32(content) !== head.getUint32(0, true)) throw new Error('gatescope-program')
  const count = head.getUint32(4, true)
  const sizes = new DataView(content.buffer, 0, 4 * count)
  let start = 4 * count
  return Array.from({ length: count }, (_, part) => {
    const end = start + sizes.getUint32(4 * part, true)
    const bytes = content.buffer.slice(start, end)
    start = end
    return bytes
  })
}

/** Return the CRC-32 of bytes. */
function crc32(bytes: Uint8Array): number {
  let crc = -1
  for (const byte of bytes) crc = CRC32_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}
