// Zip files: files are stored as they are, because weights hardly shrink, and read back with bounds on every size.
//
// Source: APPNOTE.TXT of PKWARE, version 6.3.10: sections 4.3.7 (local header), 4.3.12 (directory) and 4.3.16 (end).
import { text } from '../messages/text'

const LOCAL = 0x04034b50
const ENTRY = 0x02014b50
const END = 0x06054b50
const LOCAL_BYTES = 30
const ENTRY_BYTES = 46
const END_BYTES = 22
const VERSION = 20 // that is needed to read a file
const MADE_BY = (3 << 8) | VERSION // Unix, so that the attributes are those of a regular file
const REGULAR = 0o100644 * 0x10000
const DATE = 0x21 // 1980-01-01: the same files give the same bytes
const STORED = 0
const DEFLATED = 8

const MAX_FILES = 1000
/** Of a zip file, and of all files in it together. */
export const MAX_ZIP_BYTES = 64 << 20
const MAX_NAME_BYTES = 200

/** A zip file that cannot be read, with a sentence for the reader. */
export class ZipError extends Error {}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1
  return value
})

function checksum(bytes: Uint8Array): number {
  let value = 0xffffffff
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff]! ^ (value >>> 8)
  return ~value >>> 0
}

/** Return a zip file of files by their names, which are ASCII. */
export function zipped(files: ReadonlyMap<string, Uint8Array>): Uint8Array<ArrayBuffer> {
  const names = [...files.keys()].map((name) => new TextEncoder().encode(name))
  const size = [...files.values()].reduce((sum, { length }) => sum + length, 0)
  const headers = names.reduce((sum, { length }) => sum + LOCAL_BYTES + ENTRY_BYTES + 2 * length, END_BYTES)
  const bytes = new Uint8Array(size + headers)
  const view = new DataView(bytes.buffer)
  const contents = [...files.values()]
  const sums = contents.map(checksum)
  let at = 0
  const places = contents.map((content, k) => {
    const place = at
    view.setUint32(at, LOCAL, true)
    view.setUint16(at + 4, VERSION, true)
    common(at + 6, k)
    bytes.set(names[k]!, at + LOCAL_BYTES)
    bytes.set(content, at + LOCAL_BYTES + names[k]!.length)
    at += LOCAL_BYTES + names[k]!.length + content.length
    return place
  })
  const directory = at
  for (const [k, place] of places.entries()) {
    view.setUint32(at, ENTRY, true)
    view.setUint16(at + 4, MADE_BY, true)
    view.setUint16(at + 6, VERSION, true)
    common(at + 8, k)
    view.setUint32(at + 38, REGULAR, true)
    view.setUint32(at + 42, place, true)
    bytes.set(names[k]!, at + ENTRY_BYTES)
    at += ENTRY_BYTES + names[k]!.length
  }
  view.setUint32(at, END, true)
  view.setUint16(at + 8, names.length, true)
  view.setUint16(at + 10, names.length, true)
  view.setUint32(at + 12, at - directory, true)
  view.setUint32(at + 16, directory, true)
  return bytes

  /** Write the fields that both headers of a file have: its date, checksum, sizes and the length of its name. */
  function common(place: number, k: number): void {
    view.setUint16(place + 6, DATE, true)
    view.setUint32(place + 8, sums[k]!, true)
    view.setUint32(place + 12, contents[k]!.length, true)
    view.setUint32(place + 16, contents[k]!.length, true)
    view.setUint16(place + 20, names[k]!.length, true)
  }
}

/**
 * Return the files of a zip file whose names `isWanted` accepts.
 *
 * Throws a ZipError if the file is damaged, has too much in it, or has a wanted file twice, encrypted or as a link.
 */
export async function unzipped(
  bytes: Uint8Array<ArrayBuffer>,
  isWanted: (name: string) => boolean,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const refuse = (): never => {
    throw new ZipError(text('PLAYGROUND_ZIP_DAMAGED', { most: MAX_ZIP_BYTES >> 20 }))
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = bytes.length - END_BYTES
  if (bytes.length > MAX_ZIP_BYTES || end < 0 || view.getUint32(end, true) !== END) return refuse()
  const [count, directory] = [view.getUint16(end + 10, true), view.getUint32(end + 16, true)]
  if (count > MAX_FILES) return refuse()
  const files = new Map<string, Uint8Array<ArrayBuffer>>()
  let [at, total] = [directory, 0]
  for (let k = 0; k < count; k++) {
    if (at + ENTRY_BYTES > end || view.getUint32(at, true) !== ENTRY) return refuse()
    const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)]
    const [sum, packed, size] = [at + 16, at + 20, at + 24].map((place) => view.getUint32(place, true)) as Triple
    const [nameBytes, extra, comment] = [at + 28, at + 30, at + 32].map((place) =>
      view.getUint16(place, true),
    ) as Triple
    const [attributes, local] = [view.getUint32(at + 38, true) >>> 16, view.getUint32(at + 42, true)]
    if (nameBytes > MAX_NAME_BYTES || at + ENTRY_BYTES + nameBytes > end) return refuse()
    const name = new TextDecoder().decode(bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes))
    at += ENTRY_BYTES + nameBytes + extra + comment
    if (!isWanted(name)) continue
    const isPlain = (attributes & 0o170000) === 0 || (attributes & 0o170000) === 0o100000
    total += size
    if (files.has(name) || flags & 1 || !isPlain || total > MAX_ZIP_BYTES) return refuse()
    if (local + LOCAL_BYTES > end || view.getUint32(local, true) !== LOCAL) return refuse()
    const from = local + LOCAL_BYTES + view.getUint16(local + 26, true) + view.getUint16(local + 28, true)
    if (from + packed > directory) return refuse()
    const stored = bytes.slice(from, from + packed)
    const content = method === STORED ? stored : method === DEFLATED ? await inflated(stored, size) : null
    if (content?.length !== size || checksum(content) !== sum) return refuse()
    files.set(name, content)
  }
  return files
}

type Triple = [number, number, number]

/** Return deflated bytes as they were; null if they are damaged or more than `most`. */
async function inflated(bytes: Uint8Array<ArrayBuffer>, most: number): Promise<Uint8Array<ArrayBuffer> | null> {
  const content = new Uint8Array(most)
  let length = 0
  try {
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      if (length + value.length > most) {
        await reader.cancel()
        return null
      }
      content.set(value, length)
      length += value.length
    }
  } catch {
    return null
  }
  return content.subarray(0, length)
}
