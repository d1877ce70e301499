// Packs the program of live files into one file: page, style sheet, worker, both kernels and the Chinese sentences.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { compress } from 'lzma1'
import type { Plugin } from 'vite'

/** The strongest of the modes of LZMA. */
const MODE = 9

/**
 * Adds the packed program, in the form that live/unpack.ts reads. Compressed as one, the kernels share what they have in
 * common: the whole is a third smaller than its parts in gzip.
 *
 * @param file the name of the packed program
 * @param page the script of the page, which no other page needs: it is removed
 * @param others the other parts, in their order
 */
export const program = (file: string, page: string, others: readonly string[]): Plugin => ({
  name: 'gatescope-program',
  apply: 'build',
  writeBundle({ dir }) {
    const parts = [page, ...others].map((name) => readFileSync(join(dir!, name)))
    const content = Buffer.concat([...parts.map(({ length }) => word(length)), ...parts])
    const packed = Buffer.concat([word(crc32(content)), word(parts.length), Buffer.from(compress(content, MODE))])
    writeFileSync(join(dir!, file), packed)
    rmSync(join(dir!, page))
  },
})

/** Return a number in 4 bytes, little-endian. */
function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
