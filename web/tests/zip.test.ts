// Zip files of the page: read back as they were, and refused when a stranger has changed them.
import { describe, expect, it } from 'vitest'
import { MAX_ZIP_BYTES, unzipped, ZipError, zipped } from '../src/model/zip'

const FILES = new Map([
  ['run/network.json', new TextEncoder().encode('{"a": "é"}')],
  ['run/weights.safetensors', Uint8Array.from({ length: 3000 }, (_, k) => (k * k) % 251)],
  ['run/empty.txt', new Uint8Array()],
])
const all = (): boolean => true

/** Return the place of the entry of a file in the directory. */
function entryOf(bytes: Uint8Array, name: string): number {
  const text = new TextDecoder('latin1').decode(bytes)
  return text.lastIndexOf(name) - 46
}

function changed(change: (bytes: Uint8Array, view: DataView) => void): Uint8Array<ArrayBuffer> {
  const bytes = zipped(FILES)
  change(bytes, new DataView(bytes.buffer))
  return bytes
}

const refused = (bytes: Uint8Array<ArrayBuffer>): Promise<void> =>
  expect(unzipped(bytes, all)).rejects.toBeInstanceOf(ZipError)

async function deflated(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream('deflate-raw'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

/** Return a zip file with one file whose content is packed already. */
function withPacked(packed: Uint8Array, size: number, sum: number): Uint8Array<ArrayBuffer> {
  const bytes = zipped(new Map([['network.json', packed]]))
  const view = new DataView(bytes.buffer)
  for (const [at, method, place] of [
    [0, 8, 22],
    [entryOf(bytes, 'network.json'), 10, 24],
  ] as const) {
    view.setUint16(at + method, 8, true)
    view.setUint32(at + place, size, true)
    view.setUint32(at + place - 8, sum, true)
  }
  return bytes
}

it('files are read back', async () => {
  const files = await unzipped(zipped(FILES), all)
  expect([...files].map(([name, content]) => [name, [...content]])).toEqual(
    [...FILES].map(([name, content]) => [name, [...content]]),
  )
  expect([...(await unzipped(zipped(FILES), (name) => name.endsWith('.json'))).keys()]).toEqual(['run/network.json'])
  expect(await unzipped(zipped(new Map()), all)).toEqual(new Map())
})

it('deflated files are read up to their size', async () => {
  const content = new TextEncoder().encode('aaaabbbb'.repeat(500))
  const sum = new DataView(zipped(new Map([['a', content]])).buffer).getUint32(14, true)
  const packed = await deflated(content)
  expect((await unzipped(withPacked(packed, content.length, sum), all)).get('network.json')).toEqual(content)
  // A bomb announces less than it has.
  await refused(withPacked(packed, content.length - 1, sum))
  await refused(withPacked(packed, content.length + 1, sum))
  await refused(withPacked(packed, MAX_ZIP_BYTES + 1, sum))
  await refused(withPacked(packed, content.length, sum ^ 1))
  await refused(withPacked(packed.slice(0, 5), content.length, sum))
})

describe('a changed file is refused', () => {
  const at = (bytes: Uint8Array): number => entryOf(bytes, 'run/weights')
  it.each<[string, (bytes: Uint8Array, view: DataView) => void]>([
    ['a link', (bytes, view) => view.setUint32(at(bytes) + 38, 0o120777 * 0x10000, true)],
    ['encrypted', (bytes, view) => view.setUint16(at(bytes) + 8, 1, true)],
    ['a rare method', (bytes, view) => view.setUint16(at(bytes) + 10, 12, true)],
    ['a wrong checksum', (bytes) => void (bytes[200]! ^= 1)],
    ['a place outside', (bytes, view) => view.setUint32(at(bytes) + 42, 0xfffffff0, true)],
    ['a size beyond the file', (bytes, view) => view.setUint32(at(bytes) + 20, 0xfffffff0, true)],
    ['a name twice', (bytes) => bytes.copyWithin(at(bytes), entryOf(bytes, 'run/network.json'))],
    ['too many entries', (bytes, view) => view.setUint16(bytes.length - 12, 5000, true)],
    ['a directory elsewhere', (bytes, view) => view.setUint32(bytes.length - 6, 3, true)],
  ])('%s', (_, change) => refused(changed(change)))

  it('cut short', async () => {
    for (const length of [0, 10, 22, 3000]) await refused(zipped(FILES).slice(0, length))
  })
})
